import { randomUUID } from 'node:crypto'
import type { Listener } from '../store'
import type { ClusterNode, RedisClient } from './client'

/** A connection of our own, on which channels are heard. */
interface Subscriber {
  connect: () => Promise<unknown>
  subscribe: (...channels: string[]) => Promise<unknown>
  disconnect: () => void
  on: (event: string, listener: (...args: never[]) => void) => unknown
}

/** What is used of a client: of a Cluster, its nodes. */
export type Publisher = ClusterNode & Pick<RedisClient, 'nodes'>

const heartbeatEvery = 1_000
const retryAfter = 250
/** The longest that one attempt to connect may take, in ms. */
const patience = 2_000

const nobody = 'no node of the cluster is known'
const ownOptions = { lazyConnect: true, enableReadyCheck: true, retryStrategy: null, autoResubscribe: false, disconnectTimeout: 0 }

/**
 * Hears, on a connection of its own, which sessions end. A node of a Cluster hears what any of them publishes.
 * A heartbeat goes the way of the news, through every master: one that does not come back counts as being cut off,
 * and before the first has come back there is no trust.
 */
export function subscribe (client: Publisher, channel: string, listener: Listener): () => void {
  let current: Subscriber | undefined
  let timer: NodeJS.Timeout | undefined
  let listening = false
  let missing = new Set<string>()
  let refusal: Error | undefined

  const after = (ms: number, proceed: () => void): void => {
    clearTimeout(timer)
    timer = setTimeout(proceed, ms).unref()
  }

  const cutOff = (reason: Error): void => {
    current?.disconnect()
    current = undefined
    listening = false
    after(retryAfter, open)
    listener.lost(reason)
  }

  const open = (): void => {
    const nodes = client.nodes?.('all') ?? [client]
    const source = nodes[Math.floor(Math.random() * nodes.length)]
    if (source === undefined) return cutOff(new Error(nobody))
    const own = (source.duplicate as (options: object) => Subscriber)(ownOptions)
    const echo = `${channel}:${randomUUID()}`
    current = own
    const whileCurrent = <T>(act: (given: T) => void) => (given: T): void => { if (current === own) act(given) }
    const fail = whileCurrent(cutOff)

    const beat = (): void => {
      const masters = client.nodes?.('master') ?? [client]
      if (masters.length === 0) return cutOff(new Error(nobody))
      refusal = undefined
      missing = new Set(masters.map(() => randomUUID()))
      for (const [i, message] of [...missing].entries()) {
        masters[i]?.publish(echo, message).catch((error: Error) => { refusal = error })
      }
      // A process that was busy for that long reads what has arrived meanwhile before it judges.
      after(heartbeatEvery, () => setImmediate(whileCurrent(judge)))
    }
    const judge = (): void => {
      if (missing.size > 0) return cutOff(refusal ?? new Error('no heartbeat came through'))
      beat()
    }
    const hear = (message: string): void => {
      missing.delete(message)
      if (missing.size > 0 || listening) return
      listening = true
      listener.listening()
    }

    own.on('error', fail)
    own.on('close', () => fail(new Error('the connection closed')))
    own.on('message', (from: string, message: string) => {
      if (from === channel) listener.ended(message)
      else whileCurrent(hear)(message)
    })
    after(patience, () => fail(new Error('no connection in time')))
    own.connect().then(async () => await own.subscribe(channel, echo)).then(whileCurrent(beat)).catch(fail)
  }

  open()
  return () => {
    clearTimeout(timer)
    current?.disconnect()
    current = undefined
  }
}
