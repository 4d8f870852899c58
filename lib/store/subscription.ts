import { randomUUID } from 'node:crypto'
import type { Listener } from './store'

/** A connection of our own, on which one channel is heard. */
interface Subscriber {
  connect: () => Promise<unknown>
  subscribe: (channel: string) => Promise<unknown>
  disconnect: () => void
  on: (event: string, listener: (...args: never[]) => void) => unknown
}

export interface Publisher {
  publish: (channel: string, message: string) => Promise<unknown>
  duplicate: (...args: never[]) => unknown
  nodes?: (role: 'all') => Publisher[]
}

const heartbeatEvery = 1_000
const retryAfter = 250

/**
 * Hears, on a connection of its own, which sessions end. A node of a Cluster hears what any of them publishes.
 * A heartbeat through the same channel shows that it still does: a silent gap in it counts as being cut off.
 */
export function subscribe (client: Publisher, channel: string, listener: Listener): () => void {
  const heartbeat = `#${randomUUID()}`
  let closed = false
  let subscriber: Subscriber | undefined
  let timer: NodeJS.Timeout | undefined
  let heard = false

  const beat = (): void => {
    if (!heard) return cutOff(new Error('no heartbeat came through'))
    heard = false
    client.publish(channel, heartbeat).catch(() => {})
    timer = setTimeout(beat, heartbeatEvery).unref()
  }

  const cutOff = (reason: Error): void => {
    if (closed || subscriber === undefined) return
    clearTimeout(timer)
    subscriber.disconnect()
    subscriber = undefined
    listener.lost(reason)
    timer = setTimeout(open, retryAfter).unref()
  }

  const open = (): void => {
    const nodes = client.nodes?.('all')
    const source = nodes === undefined ? client : nodes[Math.floor(Math.random() * nodes.length)] ?? client
    const own = (source.duplicate as (options: object) => Subscriber)({ lazyConnect: true, enableReadyCheck: true, retryStrategy: null, autoResubscribe: false })
    subscriber = own
    const fail = (reason: Error): void => { if (subscriber === own) cutOff(reason) }
    own.on('error', fail)
    own.on('close', () => fail(new Error('the connection closed')))
    own.on('message', (_channel: string, message: string) => {
      if (!message.startsWith('#')) return listener.ended(message)
      if (message === heartbeat) heard = true
    })
    own.connect().then(async () => await own.subscribe(channel)).then(() => {
      if (subscriber !== own) return
      listener.listening()
      heard = true
      beat()
    }, fail)
  }

  open()
  return () => {
    closed = true
    clearTimeout(timer)
    subscriber?.disconnect()
  }
}
