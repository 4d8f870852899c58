import { randomUUID } from 'node:crypto'
import type { Listener } from '../store'
import type { ClusterNode, RedisClient } from './client'
import { onReady } from './on-ready'

/** A connection of its own, on which channels are listened to. */
interface Subscriber {
  connect: () => Promise<unknown>
  subscribe: (...channels: string[]) => Promise<unknown>
  disconnect: () => void
  on: (event: string, listener: (...args: never[]) => void) => unknown
}

/** What is used of a client: of a Cluster, its nodes. */
export type Publisher = ClusterNode & Pick<RedisClient, 'nodes' | 'on'>

// All in ms.
const heartbeatEvery = 1_000
const retryAfter = 250
const connectTimeout = 2_000

const nobody = 'no node of the cluster is known'
const ownOptions = {
  lazyConnect: true,
  enableReadyCheck: true,
  retryStrategy: null,
  autoResubscribe: false,
  disconnectTimeout: 0
}

/** Listens, on a connection of its own, to which sessions end; returns the way to stop it. */
export function subscribe (client: Publisher, channel: string, listener: Listener): () => void {
  const subscription = new Subscription(client, channel, listener)
  subscription.open()
  const stop = onReady(client, subscription, (subscription) => {
    subscription.doubt('the client has reconnected')
  })
  return () => {
    stop()
    subscription.close()
  }
}

/**
 * A node of a Cluster receives what any of them publishes. A heartbeat goes the same way, through
 * every master: if one does not come back, this is cut off, and before the first has come back
 * nothing is trusted.
 */
class Subscription {
  readonly #client: Publisher
  readonly #channel: string
  readonly #listener: Listener
  #current: Subscriber | undefined
  #timer: NodeJS.Timeout | undefined
  #listening = false
  #masters: ClusterNode[] = []
  /** The heartbeats that have not come back. */
  #missing = new Set<string>()

  constructor (client: Publisher, channel: string, listener: Listener) {
    this.#client = client
    this.#channel = channel
    this.#listener = listener
  }

  open (): void {
    const nodes = this.#client.nodes?.('all') ?? [this.#client]
    const source = nodes[Math.floor(Math.random() * nodes.length)]
    if (source === undefined) return this.#cutOff(new Error(nobody))
    const own = (source.duplicate as (options: object) => Subscriber)(ownOptions)
    const echo = `${this.#channel}:${randomUUID()}`
    this.#current = own
    const ifCurrent = (act: () => void): void => this.#ifCurrent(own, act)
    const fail = (error: Error): void => ifCurrent(() => { this.#cutOff(error) })

    own.on('error', fail)
    own.on('close', () => fail(new Error('the connection closed')))
    own.on('message', (from: string, message: string) => {
      // An ending counts, whichever connection it comes from.
      if (from === this.#channel) this.#listener.ended(message)
      else ifCurrent(() => { this.#receive(message) })
    })
    this.#after(connectTimeout, () => { fail(new Error('no connection in time')) })
    own.connect()
      .then(async () => await own.subscribe(this.#channel, echo))
      .then(() => { ifCurrent(() => { this.#beat(echo) }) })
      .catch(fail)
  }

  /**
   * Begins again, as after a gap, because the client may ask another server now: one that has taken
   * over may have lost sessions, of which nobody is told, and this connection may outlive that.
   */
  doubt (reason: string): void {
    if (this.#listening) this.#cutOff(new Error(reason))
  }

  close (): void {
    clearTimeout(this.#timer)
    this.#current?.disconnect()
    this.#current = undefined
    this.#listening = false
  }

  #beat (echo: string): void {
    const masters = this.#client.nodes?.('master') ?? [this.#client]
    if (masters.length === 0) return this.#cutOff(new Error(nobody))
    const known = this.#masters
    this.#masters = [...masters]
    const isNew = masters.some((master) => !known.includes(master))
    if (this.#listening && isNew) return this.doubt('a master has changed')
    this.#missing = new Set(masters.map(() => randomUUID()))
    const own = this.#current
    // What could not be published will not come back.
    const fail = (error: Error): void => this.#ifCurrent(own, () => { this.#cutOff(error) })
    for (const [i, message] of [...this.#missing].entries()) {
      masters[i]?.publish(echo, message).catch(fail)
    }
    // A process that was busy for that long reads what has arrived meanwhile before it judges.
    this.#after(heartbeatEvery, () => setImmediate(() => this.#ifCurrent(own, () => {
      if (this.#missing.size === 0) this.#beat(echo)
      else this.#cutOff(new Error('no heartbeat came through'))
    })))
  }

  // What a connection of before says, or was waited for, counts no more.
  #ifCurrent (own: Subscriber | undefined, act: () => void): void {
    if (this.#current === own) act()
  }

  #receive (heartbeat: string): void {
    this.#missing.delete(heartbeat)
    if (this.#missing.size > 0 || this.#listening) return
    this.#listening = true
    this.#listener.listening()
  }

  #cutOff (reason: Error): void {
    this.#current?.disconnect()
    this.#current = undefined
    this.#listening = false
    this.#after(retryAfter, () => { this.open() })
    this.#listener.lost(reason)
  }

  #after (ms: number, proceed: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(proceed, ms).unref()
  }
}
