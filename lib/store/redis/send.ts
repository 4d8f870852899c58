import { Clock } from './server-clock'
import { createCork, type Socketed } from './cork'
import { toAnswer, type Answer } from './record'
import { patience } from '../timeout'
import { Readiness, type Connection } from './client'
import type { Script } from './scripts/script'

export type Argument = string | number
type Evaluate = (script: string, keys: number, ...args: Argument[]) => Promise<unknown>

export interface Evaluating extends Connection, Socketed {
  evalsha: Evaluate
  eval: Evaluate
}

/** Every such client has these as well, though its types leave them out. */
type Binary = Record<'evalshaBuffer' | 'evalBuffer', Evaluate>

/** Sends scripts in time: nothing is sent while the client is not ready, and nothing takes effect after its deadline. */
export class Commands {
  readonly clock = new Clock()
  readonly readiness: Readiness
  /** Called before a command is sent: those of one turn of the event loop leave in one write. */
  readonly cork: () => void
  readonly #client: Binary

  constructor (client: Evaluating) {
    this.#client = client as Evaluating & Binary
    this.readiness = new Readiness(client)
    this.cork = createCork(client)
  }

  /** Takes a step that must be over `within` ms, and takes it anew where it came late by a clock that was not known well. */
  async inTime (within: number, step: (giveUpAt: number) => Promise<Answer>): Promise<Answer> {
    const giveUpAt = performance.now() + within
    let answer = await step(giveUpAt)
    // Late by the store's clock yet not by ours: that clock was unknown, or has stepped, and is known now.
    if (answer.outcome === 'late' && performance.now() < giveUpAt) answer = await step(giveUpAt)
    if (answer.outcome === 'late') throw new Error('the command reached the store too late')
    return answer
  }

  /** Sends one script, and answers the members of its reply. `giveUpAt` is in this process's monotonic ms. */
  async send ({ sha, lua }: Script, keys: string[], args: Argument[], giveUpAt: number): Promise<unknown[]> {
    if (!this.readiness.ready) await this.readiness.wait(giveUpAt - performance.now())
    const sentAt = performance.now()
    const now = this.clock.now()
    // The server's clock is read in whole ms: all of the last one must be over when nobody waits any more.
    const all = [...keys, now === undefined ? 0 : Math.floor(now + giveUpAt - sentAt) - 1, ...args]
    const reply = await this.#client.evalshaBuffer(sha, keys.length, ...all).catch(async (error: Error) => {
      if (error.message.startsWith('NOSCRIPT')) return await this.#client.evalBuffer(lua, keys.length, ...all)
      throw error
    }).catch(async (error: Error) => {
      // A client with a commandTimeout of its own gives up, but what it has sent may take effect until the deadline.
      if (error.message === 'Command timed out') await new Promise<void>((resolve) => patience(giveUpAt - performance.now(), resolve))
      throw error
    })
    const answers = Array.isArray(reply) ? reply as unknown[] : [reply]
    if (Buffer.isBuffer(answers[0])) this.clock.learn(toAnswer(answers[0]).now, sentAt)
    return answers
  }
}
