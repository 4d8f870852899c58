import type { FastifyInstance } from 'fastify'
import { deny, describe, duration, isBoolean, isListOf, isObject, isString, object, value, type Check } from './options/schema'
import { readCookie, type CookieOptions, type CookieSettings } from './http/cookie-settings'
import { readDurability, type DurabilitySettings } from './session/durability'
import { readRing, type Key } from './tokens/keys'
import type { AuthPluginOptions, ClaimsHook, ReuseHook, RouteExtras } from './options/options'
import type { Transport } from './session/session'
import { RedisStore, isRedisClient, type RedisClient } from './store/redis/redis'
import type { Store } from './store/store'

/** The options, normalised: durations in ms, nothing optional that has a default. */
export interface Settings {
  ring: [Key, ...Key[]]
  store: Store
  accessToken: { lifetime: number, issuer: string | undefined, audience: string | string[] | undefined }
  refreshToken: { idleLifetime: number, absoluteLifetime: number, gracePeriod: number, paired: boolean, transports: [Transport, ...Transport[]] }
  cookie: CookieSettings
  maxSessions: number
  prefix: string
  routes: { refresh: RouteExtras | undefined, logout: RouteExtras | undefined, jwks: RouteExtras | undefined }
  trustedOrigins: ReadonlySet<string>
  storeTimeout: number
  claims: ClaimsHook | undefined
  onReuse: ReuseHook | undefined
  push: boolean
  durability: DurabilitySettings | undefined
}

const minutes = 60_000
const days = 24 * 60 * minutes

const isTransport = (given: unknown): given is Transport => given === 'cookie' || given === 'body'
const isTransports = (given: unknown): given is [Transport, ...Transport[]] => isListOf(isTransport)(given) && given.length > 0 && new Set(given).size === given.length
const isLimit = (given: unknown): given is number => typeof given === 'number' && given >= 1 && (Number.isInteger(given) || given === Infinity)
const isPrefix = (given: unknown): given is string => typeof given === 'string' && /^(\/[\w.~-]+)*\/?$/.test(given)
const isAudience = (given: unknown): given is string | string[] => isString(given) || (isListOf(isString)(given) && given.length > 0)
// The pages of an app's WebView or of an extension have origins that URL does not know.
const isAppOrigin = /^(?!https?:|wss?:|ftp:|file:|blob:)[a-z][a-z\d+.-]*:\/\/[\w.-]+(?::\d+)?$/
const isOrigin = (given: unknown): given is string => isString(given) && URL.canParse(given) && (new URL(given).origin === given || isAppOrigin.test(given))
const isRevocation = (given: unknown): given is 'none' | 'push' => given === 'none' || given === 'push'
const isHook = <T extends ClaimsHook | ReuseHook>(given: unknown): given is T => typeof given === 'function'
const isExtras = (given: unknown): given is RouteExtras | boolean => isObject(given) || typeof given === 'boolean'
const isStore = (given: unknown): given is Store => isObject(given) && ['now', 'create', 'find', 'list', 'rotate', 'end', 'endAll'].every((name) => typeof given[name] === 'function')

// A URL given by mistake may hold a password: only the type of what was given is told.
const client = <T>(test: (given: unknown) => given is T, allowed: string): Check<T | undefined> =>
  (given, path) => given === undefined || test(given) ? given : deny(path, `of type ${typeof given}`, allowed)

const read = object({
  secret: readRing,
  redis: client(isRedisClient, 'an ioredis-compatible Redis or Cluster'),
  store: client(isStore, 'a Store, such as new MemoryStore()'),
  accessToken: object({
    lifetime: duration(30 * minutes, 1),
    issuer: value(isString, 'a non-empty string', undefined),
    audience: value(isAudience, 'a non-empty string, or an array of them', undefined)
  }),
  refreshToken: object({
    idleLifetime: duration(undefined),
    absoluteLifetime: duration(90 * days),
    gracePeriod: duration(10_000, 0),
    paired: value(isBoolean, 'true or false', false),
    transports: value(isTransports, "'cookie', 'body' or both, in an array", ['cookie'] as [Transport]),
    cookie: (given) => given as CookieOptions | undefined
  }),
  maxSessions: value(isLimit, 'an integer of 1 or more, or Infinity', 50),
  prefix: value(isPrefix, "a path such as '/auth'", '/auth'),
  routes: object({
    refresh: value(isExtras, 'false or route options', true),
    logout: value(isExtras, 'false or route options', true),
    jwks: value(isExtras, 'true or route options', false)
  }),
  trustedOrigins: value(isListOf(isOrigin), "an array of origins such as 'https://app.example.com'", []),
  storeTimeout: duration(500),
  claims: value(isHook<ClaimsHook>, 'a function', undefined),
  onReuse: value(isHook<ReuseHook>, 'a function', undefined),
  revocation: value(isRevocation, "'none' or 'push'", 'none'),
  durability: readDurability
})

/** Normalises the options. @throws INVALID_OPTION with a sentence that names the option, what was given and what is allowed */
export function readSettings (options: AuthPluginOptions, fastify: FastifyInstance): Settings {
  const { secret, redis, store, refreshToken, routes, prefix, trustedOrigins, revocation, ...rest } = read(options, '')
  const { idleLifetime = Math.min(14 * days, refreshToken.absoluteLifetime), absoluteLifetime, gracePeriod, paired, transports, cookie } = refreshToken
  if (idleLifetime > absoluteLifetime) deny('refreshToken.idleLifetime', `${idleLifetime / 1000} s`, `up to refreshToken.absoluteLifetime, ${absoluteLifetime / 1000} s`)
  if (rest.accessToken.lifetime < 1000) deny('accessToken.lifetime', `${rest.accessToken.lifetime} ms`, 'one second or more')
  if (routes.jwks !== false && secret.every(({ jwk }) => jwk === undefined)) deny('routes.jwks', describe(routes.jwks), 'a ring with a key pair in it: a shared secret has no public key')
  const path = prefix.replace(/\/$/, '')
  return {
    ...rest,
    ring: secret,
    store: chooseStore(store, redis, fastify),
    refreshToken: { idleLifetime, absoluteLifetime, gracePeriod, paired, transports },
    cookie: readCookie(cookie, `${fastify.prefix.replace(/\/$/, '')}${path}` || '/'),
    prefix: path,
    routes: { refresh: extras(routes.refresh), logout: extras(routes.logout), jwks: extras(routes.jwks) },
    trustedOrigins: new Set(trustedOrigins),
    push: readRevocation(revocation, store),
    durability: checkDurability(rest.durability, store)
  }
}

const extras = (given: boolean | RouteExtras): RouteExtras | undefined => given === false ? undefined : given === true ? {} : given

function readRevocation (revocation: 'none' | 'push', store: Store | undefined): boolean {
  if (revocation === 'push' && store !== undefined && store.listen === undefined) deny('revocation', "'push'", "'none' with a store that has no listen()")
  return revocation === 'push'
}

function checkDurability (durability: DurabilitySettings | undefined, store: Store | undefined): DurabilitySettings | undefined {
  if (durability !== undefined && store !== undefined && store.replication === undefined) deny('durability', 'given', 'nothing with a store that has no replicas')
  return durability
}

function chooseStore (store: Store | undefined, redis: RedisClient | undefined, fastify: FastifyInstance): Store {
  if (store !== undefined && redis !== undefined) deny('store', 'given beside redis', 'one of the two')
  if (store !== undefined) return store
  const registered = (fastify as FastifyInstance & { redis?: unknown }).redis
  const client = redis ?? registered
  if (isRedisClient(client)) return new RedisStore(client)
  return deny('store', 'missing, and so is redis', 'one of three ways: register @fastify/redis first, pass redis: an ioredis client, or pass store: new MemoryStore() for development')
}
