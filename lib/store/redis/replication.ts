import type { Ended, Replication } from '../store'
import { createTimeout } from '../timeout'
import type { RedisClient } from './client'
import { confirm } from './scripts/confirm.lua'
import { slotOf } from './slot'

/** The pipeline of an ioredis-compatible client, as far as it is used here. */
interface Pipeline {
  eval: (lua: string, keys: number, ...args: string[]) => unknown
  wait: (replicas: number, timeout: number) => unknown
  exec: () => Promise<unknown>
}

interface Connection {
  pipeline: () => Pipeline
  disconnect: () => void
  on: (event: 'error', listener: () => void) => unknown
}

/** What one request waits for, from one master. */
interface Confirmation {
  ended: Ended[]
  replicas: number
  giveUpAt: number
  /** Called with how many replicas have it. */
  settle: (replicas: number) => void
}

/** How much longer than a WAIT its answer may take, in ms; then its connection is given up. */
const patience = 1_000

const none = 0

/**
 * Asks replicas on a connection of its own, opened when it is first needed: WAIT keeps a connection from everyone else.
 * One WAIT is in flight for each master, and all that is asked for meanwhile goes together into the next.
 */
export class RedisReplication implements Replication {
  readonly #client: RedisClient
  readonly #keyOf: (userTag: string) => string
  readonly #queues = new Map<string, Set<Confirmation>>()
  #connection: Connection | undefined

  constructor (client: RedisClient, keyOf: (userTag: string) => string) {
    this.#client = client
    this.#keyOf = keyOf
  }

  async confirm (ended: readonly Ended[], replicas: number, timeout: number): Promise<number> {
    const byMaster = new Map<string, Ended[]>()
    for (const each of ended) {
      const master = this.#masterOf(each.userTag)
      byMaster.set(master, [...byMaster.get(master) ?? [], each])
    }
    const giveUpAt = performance.now() + timeout
    const parts = [...byMaster].map(async ([master, ended]) => await this.#enqueue(master, ended, replicas, giveUpAt))
    return Math.min(...await Promise.all(parts))
  }

  close (): void {
    this.#connection?.disconnect()
    this.#connection = undefined
  }

  async #enqueue (master: string, ended: Ended[], replicas: number, giveUpAt: number): Promise<number> {
    return await new Promise((resolve) => {
      const settle = (confirmed: number): void => {
        stop()
        this.#queues.get(master)?.delete(confirmation)
        resolve(confirmed)
      }
      const confirmation = { ended, replicas, giveUpAt, settle }
      const stop = createTimeout(giveUpAt - performance.now(), () => settle(none))
      const queue = this.#queues.get(master)
      if (queue !== undefined) return queue.add(confirmation)
      this.#queues.set(master, new Set([confirmation]))
      // What is asked for in one turn of the event loop goes together.
      setImmediate(() => { this.#work(master) })
    })
  }

  // One WAIT after another, until nobody waits any more.
  async #work (master: string): Promise<void> {
    for (let flight = this.#take(master); flight.length > 0; flight = this.#take(master)) {
      const confirmed = await this.#ask(flight).catch(() => [])
      for (const [i, { settle }] of flight.entries()) settle(confirmed[i] ?? none)
    }
    this.#queues.delete(master)
  }

  #take (master: string): Confirmation[] {
    const queue = this.#queues.get(master)
    const flight = [...queue ?? []]
    queue?.clear()
    return flight
  }

  async #ask (flight: Confirmation[]): Promise<number[]> {
    // 0 would be for ever.
    const timeout = Math.max(1, Math.ceil(Math.max(...flight.map(({ giveUpAt }) => giveUpAt)) - performance.now()))
    const byUser = new Map<string, Set<string>>()
    for (const { userTag, sids } of flight.flatMap(({ ended }) => ended)) {
      byUser.set(userTag, new Set([...byUser.get(userTag) ?? [], ...sids]))
    }
    const pipeline = this.#connect().pipeline()
    for (const [userTag, sids] of byUser) pipeline.eval(confirm, 1, this.#keyOf(userTag), ...sids)
    pipeline.wait(Math.max(...flight.map(({ replicas }) => replicas)), timeout)

    const stuck = createTimeout(timeout + patience, () => { this.close() })
    const replies = await pipeline.exec().finally(stuck) as Array<[error: Error | null, reply: unknown]>
    const users = [...byUser.keys()]
    const refused = new Set(users.filter((_, i) => replies[i]?.[0] !== null))
    const [failed, confirmed] = replies[users.length] ?? [new Error('no answer')]
    return flight.map(({ ended }) => failed !== null || ended.some(({ userTag }) => refused.has(userTag)) ? none : Number(confirmed))
  }

  #connect (): Connection {
    if (this.#connection !== undefined) return this.#connection
    // Of the client's own ways to give up, none suits a command that waits.
    const options = { enableOfflineQueue: true, commandTimeout: undefined }
    const duplicate = this.#client.duplicate as (...args: unknown[]) => unknown
    const given = this.#client.nodes === undefined ? [options] : [[], options]
    const connection = duplicate.apply(this.#client, given) as Connection
    // Whatever is wrong with it, nobody confirms anything.
    connection.on('error', () => {})
    this.#connection = connection
    return connection
  }

  #masterOf (userTag: string): string {
    if (this.#client.nodes === undefined) return ''
    return this.#client.slots?.[slotOf(this.#keyOf(userTag))]?.[0] ?? userTag
  }
}
