import { deny, isObject, typeOf, type Check } from './options/schema'
import { checkRedisClient, isRedisClient, type RedisClient } from './store/redis/client'
import { RedisStore } from './store/redis/redis'
import type { Store } from './store/store'

const steps = ['now', 'create', 'find', 'list', 'rotate', 'update', 'end', 'endAll']
const isStore = (given: unknown): given is Store =>
  isObject(given) && steps.every((name) => typeof given[name] === 'function')

const readRedis: Check<RedisClient | undefined> = (given, path) =>
  given === undefined ? undefined : checkRedisClient(given, path)

// A URL given by mistake may hold a password: only the type of what was given is said.
const readStore: Check<Store | undefined> = (given, path) =>
  given === undefined || isStore(given)
    ? given
    : deny(path, describeStore(given), 'a Store, such as new MemoryStore()')

function describeStore (given: unknown): string {
  if (!isObject(given)) return typeOf(given)
  const lacking = steps.filter((name) => typeof given[name] !== 'function')
  return `${typeOf(given)}, without ${lacking.join(', ')}`
}

/** Reads the two options that say where sessions live. */
export const readStoreOption = { redis: readRedis, store: readStore }

/**
 * Returns where sessions live: what was given, or the client of @fastify/redis.
 * @throws INVALID_OPTION
 */
export function chooseStore (
  store: Store | undefined, redis: RedisClient | undefined, registered: unknown
): Store {
  if (store !== undefined && redis !== undefined) {
    deny('store', 'given beside redis', 'one of the two')
  }
  if (store !== undefined) return store
  const client = redis ?? registered
  if (isRedisClient(client)) return new RedisStore(client)
  // @fastify/redis has made it an object of clients.
  if (client !== undefined) {
    deny('redis', 'missing, and fastify.redis is no client',
      'a Redis or Cluster, such as redis: fastify.redis.main for the namespace main')
  }
  return deny('store', 'missing, and so is redis',
    'one of three ways: register @fastify/redis first, pass redis: an ioredis client, ' +
    'or pass store: new MemoryStore() for development')
}

/**
 * Returns whether endings are pushed. In cookie mode they are unless told otherwise: users of
 * sessions expect it of a logout, and it keeps an answer after it from bringing anybody back.
 * @throws INVALID_OPTION
 */
export function checkRevocation (
  given: 'none' | 'push' | undefined, cookieMode: boolean, { listen }: Store
): boolean {
  if (given === 'push' && listen === undefined) {
    deny('revocation', "'push'", "'none' with a store that has no listen()")
  }
  return given === undefined ? cookieMode && listen !== undefined : given === 'push'
}

/** Returns the settings as they are. @throws INVALID_OPTION */
export function checkDurability<S> (settings: S, { replication }: Store): S {
  if (settings !== undefined && replication === undefined) {
    deny('durability', 'given', 'nothing with a store that has no replicas')
  }
  return settings
}
