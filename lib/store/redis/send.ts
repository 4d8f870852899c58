import { createTimeout } from '../timeout'
import { Readiness, type Binary, type RedisClient } from './client'
import { createExplain } from './permissions'
import { nowOf, type Reply } from './scripts/record'
import type { Script } from './scripts/scripts'
import { ServerClock } from './server-clock'

/** An argument of a script. */
export type Argument = string | number | Buffer

/**
 * Sends one script; resolves with the members of its reply. `giveUpAt` is a moment of the node's
 * monotonic clock, in ms.
 */
export type Send =
  (script: Script, keys: string[], args: Argument[], giveUpAt: number) => Promise<unknown[]>

/**
 * Sends scripts in time: nothing is sent while the client is not ready, and nothing takes effect
 * after its deadline.
 */
export class Sender {
  readonly clock = new ServerClock()
  readonly readiness: Readiness
  /** Why the server cannot be used; nothing is sent to it then. */
  unfit: string | undefined
  readonly #client: Binary
  readonly #explain: (error: Error) => Promise<Error>

  /** @param key one that nobody has, to find out what is forbidden */
  constructor (client: RedisClient, key: string) {
    this.#client = client as RedisClient & Binary
    this.#explain = createExplain(client, key)
    this.readiness = new Readiness(client)
  }

  readonly send: Send = async ({ sha, lua }, keys, args, giveUpAt) => {
    if (!this.readiness.ready) await this.readiness.wait(giveUpAt - performance.now())
    if (this.unfit !== undefined) throw new Error(this.unfit)
    const sentAt = performance.now()
    const all = [...keys, this.#notAfter(giveUpAt), ...args]
    const reply = await this.#client.evalshaBuffer(sha, keys.length, ...all)
      .catch(async (error: Error) => {
        if (!error.message.startsWith('NOSCRIPT')) throw error
        return await this.#client.evalBuffer(lua, keys.length, ...all)
      })
      .catch(async (error: Error) => {
        // A client with a commandTimeout of its own gives up, but what it has sent may take effect
        // until the deadline.
        if (error.message === 'Command timed out') await waitUntil(giveUpAt)
        throw await this.#explain(error)
      })
    const members = Array.isArray(reply) ? reply as unknown[] : [reply]
    if (Buffer.isBuffer(members[0])) this.clock.learn(nowOf(members[0]), sentAt)
    return members
  }

  // The server's clock is read in whole ms: all of the last one must be over when nobody waits any
  // more.
  #notAfter (giveUpAt: number): number {
    const last = this.clock.least(giveUpAt)
    return last === undefined ? 0 : last - 1
  }
}

/**
 * Takes a step that must be over within `timeout` ms. One that came late by the store's clock, but
 * not by ours, is taken again in what is left of its time: that clock was unknown, or has stepped,
 * and is known now.
 */
export async function inTime<R extends Pick<Reply, 'outcome'>> (
  timeout: number, step: (giveUpAt: number) => Promise<R>
): Promise<R> {
  const giveUpAt = performance.now() + timeout
  let reply = await step(giveUpAt)
  if (reply.outcome === 'late' && performance.now() < giveUpAt) reply = await step(giveUpAt)
  if (reply.outcome === 'late') throw new Error('the command reached the store too late')
  return reply
}

const waitUntil = async (moment: number): Promise<void> =>
  await new Promise((resolve) => createTimeout(moment - performance.now(), resolve))
