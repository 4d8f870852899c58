import type { RedisClient } from './client'

const callsOf = new WeakMap<object, Set<() => void>>()

/**
 * Calls `act` with `owner` whenever the connection of a client becomes ready, for as long as
 * anybody else holds the owner: a client may outlive many applications. Returns the way to stop it
 * sooner.
 * However many stores share a client, it has one listener for all of them: Node takes more than ten
 * for a leak, and warns.
 */
export function onReady<T extends object> (
  client: Pick<RedisClient, 'on'>, owner: T, act: (owner: T) => void
): () => void {
  const known = callsOf.get(client)
  const calls = known ?? new Set<() => void>()
  const reference = new WeakRef(owner)
  const call = (): void => {
    const owner = reference.deref()
    if (owner === undefined) calls.delete(call)
    else act(owner)
  }
  calls.add(call)
  if (known === undefined) {
    callsOf.set(client, calls)
    client.on('ready', () => { for (const call of calls) call() })
  }
  return () => { calls.delete(call) }
}
