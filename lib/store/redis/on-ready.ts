import type { RedisClient } from './client'

const listenersOf = new WeakMap<object, Set<() => void>>()

/**
 * Calls `listener` whenever the connection of a client becomes ready. However many stores share a
 * client, it has one listener for all of them: Node takes more than ten for a leak, and warns.
 */
export function onReady (client: Pick<RedisClient, 'on'>, listener: () => void): void {
  const known = listenersOf.get(client)
  if (known !== undefined) {
    known.add(listener)
    return
  }
  const listeners = new Set([listener])
  listenersOf.set(client, listeners)
  client.on('ready', () => { for (const call of listeners) call() })
}
