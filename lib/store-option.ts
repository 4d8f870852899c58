import { deny, isObject, type Check } from './options/schema'
import { isRedisClient, type RedisClient } from './store/redis/client'
import { RedisStore } from './store/redis/redis'
import type { Store } from './store/store'

const steps = ['now', 'create', 'find', 'list', 'rotate', 'update', 'end', 'endAll']
const isStore = (given: unknown): given is Store =>
  isObject(given) && steps.every((name) => typeof given[name] === 'function')

// A URL given by mistake may hold a password: only the type of what was given is said.
const client = <T>(test: (given: unknown) => given is T, allowed: string): Check<T | undefined> =>
  (given, path) => given === undefined || test(given) ? given : deny(path, `of type ${typeof given}`, allowed)

/** Reads the two options that say where sessions live. */
export const readStoreOption = {
  redis: client(isRedisClient, 'an ioredis-compatible Redis or Cluster'),
  store: client(isStore, 'a Store, such as new MemoryStore()')
}

/** Returns where sessions live: what was given, or the client of @fastify/redis. @throws INVALID_OPTION */
export function chooseStore (
  store: Store | undefined, redis: RedisClient | undefined, registered: unknown
): Store {
  if (store !== undefined && redis !== undefined) deny('store', 'given beside redis', 'one of the two')
  if (store !== undefined) return store
  const client = redis ?? registered
  if (isRedisClient(client)) return new RedisStore(client)
  return deny('store', 'missing, and so is redis',
    'one of three ways: register @fastify/redis first, pass redis: an ioredis client, ' +
    'or pass store: new MemoryStore() for development')
}
