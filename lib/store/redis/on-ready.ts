import type { RedisClient } from './client'

const listenersOf = new WeakMap<object, Set<() => void>>()

/**
 * Calls `listener` whenever the connection of a client becomes ready; returns the way to stop it.
 * However many stores share a client, it has one listener for all of them: Node takes more than ten
 * for a leak, and warns.
 */
export function onReady (client: Pick<RedisClient, 'on'>, listener: () => void): () => void {
  const known = listenersOf.get(client)
  const listeners = known ?? new Set<() => void>()
  listeners.add(listener)
  if (known === undefined) {
    listenersOf.set(client, listeners)
    client.on('ready', () => { for (const call of listeners) call() })
  }
  return () => { listeners.delete(listener) }
}
