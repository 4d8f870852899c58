import type { Ended, Replication } from '../store'
import { createTimeout } from '../timeout'
import type { RedisClient } from './client'
import { Confirmations, type Confirmation } from './confirmations'
import { isForbidden } from './permissions'
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
  on: (event: 'error' | 'end', listener: () => void) => unknown
}

type Reply = [error: Error | null, reply: unknown]

/** How much longer than a WAIT its reply may take, in ms; then its connection is given up. */
const patience = 1_000

/**
 * Asks replicas on a connection of its own, opened when it is first needed: WAIT keeps a connection
 * from everyone else.
 */
export class RedisReplication implements Replication {
  readonly #client: RedisClient
  readonly #keyOf: (userTag: string) => string
  readonly #masters = new Map<string, Confirmations>()
  #connection: Connection | undefined
  #closed = false

  constructor (client: RedisClient, keyOf: (userTag: string) => string) {
    this.#client = client
    this.#keyOf = keyOf
  }

  async confirm (ended: readonly Ended[], replicas: number, timeout: number): Promise<number> {
    const giveUpAt = performance.now() + timeout
    const byMaster = new Map<string, Ended[]>()
    for (const each of ended) {
      const master = this.#masterOf(each.userTag)
      byMaster.set(master, [...byMaster.get(master) ?? [], each])
    }
    const parts = [...byMaster].map(async ([master, ended]) =>
      await this.#confirmationsOf(master).add({ ended, replicas, giveUpAt }))
    return Math.min(...await Promise.all(parts))
  }

  /** Gives the connection back; whoever still waits is confirmed nothing. */
  close (): void {
    this.#closed = true
    this.#disconnect()
  }

  #disconnect (): void {
    this.#connection?.disconnect()
    this.#connection = undefined
  }

  // By one WAIT, for all of them: it waits for all that this connection has written before.
  async #ask (together: Confirmation[]): Promise<number[]> {
    const sidsOf = new Map<string, Set<string>>()
    for (const { userTag, sids } of together.flatMap(({ ended }) => ended)) {
      sidsOf.set(userTag, new Set([...sidsOf.get(userTag) ?? [], ...sids]))
    }
    const userTags = [...sidsOf.keys()]
    const giveUpAt = Math.max(...together.map(({ giveUpAt }) => giveUpAt))
    // 0 would be for ever.
    const timeout = Math.max(1, Math.ceil(giveUpAt - performance.now()))
    const pipeline = this.#connect().pipeline()
    for (const [tag, sids] of sidsOf) pipeline.eval(confirm, 1, this.#keyOf(tag), ...sids)
    pipeline.wait(Math.max(...together.map(({ replicas }) => replicas)), timeout)

    const stop = createTimeout(timeout + patience, () => { this.#disconnect() })
    const replies = await pipeline.exec().finally(stop) as Reply[]
    const [failed, confirmed] = replies[userTags.length] as Reply
    const forbidden = replies.find(([error]) => error !== null && isForbidden(error))?.[0]
    if (forbidden) throw forbidden
    const refused = new Set(userTags.filter((_, i) => replies[i]?.[0] !== null))
    const isRefused = ({ ended }: Confirmation) => ended.some(({ userTag }) => refused.has(userTag))
    return together.map((each) => failed !== null || isRefused(each) ? 0 : Number(confirmed))
  }

  #connect (): Connection {
    if (this.#connection !== undefined) return this.#connection
    // Requests give up sooner than their confirmations, so some of these are left at the end.
    if (this.#closed) throw new Error('the store is closed')
    // Of the client's own ways to give up, none suits a command that waits.
    const options = { enableOfflineQueue: true, commandTimeout: undefined }
    const duplicate = this.#client.duplicate as (...args: unknown[]) => unknown
    const args = this.#client.nodes === undefined ? [options] : [[], options]
    const connection = duplicate.apply(this.#client, args) as Connection
    // Whatever is wrong with it, nobody confirms anything.
    connection.on('error', () => {})
    // Its client may give up for good, where the application's goes on.
    connection.on('end', () => {
      if (this.#connection === connection) this.#connection = undefined
    })
    this.#connection = connection
    return connection
  }

  #confirmationsOf (master: string): Confirmations {
    const known = this.#masters.get(master) ??
      new Confirmations(async (together) => await this.#ask(together))
    this.#masters.set(master, known)
    return known
  }

  #masterOf (userTag: string): string {
    return this.#client.slots?.[slotOf(this.#keyOf(userTag))]?.[0] ?? ''
  }
}
