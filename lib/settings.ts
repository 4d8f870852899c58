import type { FastifyInstance } from 'fastify'
import { checkBindings, readBindings } from './binding-option'
import { initiatorsOf } from './binding/dbsc/instructions'
import { readAccessCookie, readCookieMode } from './http/access-cookie-settings'
import { readCookieSettings, type CookieOptions, type CookieSettings } from './http/cookie-settings'
import { createIsTrusted, type IsTrusted } from './http/cross-origin'
import type { AuthPluginOptions, Binding, ClaimsHook, ReuseHook } from './options/options'
import {
  deny, duration, isBoolean, isListOf, isString, object, value, type Check
} from './options/schema'
import { checkRoutes, issuerWarnings, readRoutes, type Routes } from './routes-option'
import { readDurability, type DurabilitySettings } from './session/durability'
import type { Transport } from './session/session'
import { chooseStore, readStoreOption } from './store-option'
import type { Store } from './store/store'
import { readRing, type Key } from './tokens/keys'

/** The options, normalized: durations in ms, nothing optional that has a default. */
export interface Settings {
  ring: [Key, ...Key[]]
  store: Store
  accessToken: {
    lifetime: number
    issuer: string | undefined
    audience: string | string[] | undefined
    clientId: string | undefined
    bound: boolean
  }
  refreshToken: {
    idleLifetime: number
    absoluteLifetime: number
    gracePeriod: number
    spentOn: 'issue' | 'use'
    paired: boolean
    transports: [Transport, ...Transport[]]
    bindings: readonly Binding[]
  }
  refreshCookie: CookieSettings
  /** Cookie mode; `undefined`: the access token travels in a header. */
  accessCookie: CookieSettings | undefined
  maxSessions: number
  /** Where the routes are, within the scope that the plugin is registered in. */
  prefix: string
  /** Where the routes are, in all. */
  path: string
  decorateAuthenticate: boolean
  routes: Routes
  isTrusted: IsTrusted
  /** The hosts of `trustedOrigins` that browsers are told of, for DBSC. */
  initiators: readonly string[]
  storeTimeout: number
  claims: ClaimsHook | undefined
  onReuse: ReuseHook | undefined
  push: boolean
  durability: DurabilitySettings | undefined
  /** Sentences for the log: what is allowed, and seldom meant. */
  warnings: string[]
}

const minutes = 60_000
const days = 24 * 60 * minutes
const longestStoreTimeout = 30_000

const isTransport = (given: unknown): given is Transport => given === 'cookie' || given === 'body'
const isTransports = (given: unknown): given is [Transport, ...Transport[]] =>
  isListOf(isTransport)(given) && given.length > 0 && new Set(given).size === given.length
const isLimit = (given: unknown): given is number =>
  typeof given === 'number' && given >= 1 && (Number.isInteger(given) || given === Infinity)
const isPrefix = (given: unknown): given is string =>
  typeof given === 'string' && /^(\/[\w.~-]+)*\/?$/.test(given)
const isAudience = (given: unknown): given is string | string[] =>
  isString(given) || (isListOf(isString)(given) && given.length > 0)
// The pages of an app's WebView or of an extension have origins that URL does not know.
const isAppOrigin = /^(?!https?:|wss?:|ftp:|file:|blob:)[a-z][a-z\d+.-]*:\/\/[\w.-]+(?::\d+)?$/
const isOrigin = (given: unknown): given is string | RegExp =>
  given instanceof RegExp ||
  (isString(given) && URL.canParse(given) &&
    (new URL(given).origin === given || isAppOrigin.test(given)))
const isRevocation = (given: unknown): given is 'none' | 'push' =>
  given === 'none' || given === 'push'
const isSpentOn = (given: unknown): given is 'issue' | 'use' => given === 'issue' || given === 'use'
const isHook = <T extends ClaimsHook | ReuseHook>(given: unknown): given is T =>
  typeof given === 'function'

const readStoreTimeout: Check<number> = (given, path) => {
  const ms = duration(500)(given, path)
  if (ms <= longestStoreTimeout) return ms
  return deny(path, `${ms / 1000} s`, 'up to 30 s: it is in seconds, as all durations')
}

const read = object({
  secret: readRing,
  ...readStoreOption,
  accessToken: object({
    lifetime: duration(30 * minutes, 1),
    issuer: value(isString, 'a non-empty string', undefined),
    audience: value(isAudience, 'a non-empty string, or an array of them', undefined),
    clientId: value(isString, 'a non-empty string', undefined),
    cookie: readAccessCookie,
    bound: value(isBoolean, 'true or false', false)
  }),
  refreshToken: object({
    idleLifetime: duration(undefined),
    absoluteLifetime: duration(90 * days),
    gracePeriod: duration(10_000, 0),
    spentOn: value(isSpentOn, "'issue' or 'use'", undefined),
    paired: value(isBoolean, 'true or false', false),
    transports:
      value(isTransports, "'cookie', 'body' or both, in an array", ['cookie'] as [Transport]),
    bindings: readBindings,
    cookie: (given) => given as CookieOptions | undefined
  }),
  maxSessions: value(isLimit, 'an integer of 1 or more, or Infinity', 50),
  prefix: value(isPrefix, "a path such as '/auth'", '/auth'),
  decorateAuthenticate: value(isBoolean, 'true or false', true),
  routes: readRoutes,
  trustedOrigins: value(isListOf(isOrigin),
    "an array of origins such as 'https://app.example.com', or patterns", []),
  storeTimeout: readStoreTimeout,
  claims: value(isHook<ClaimsHook>, 'a function', undefined),
  onReuse: value(isHook<ReuseHook>, 'a function', undefined),
  revocation: value(isRevocation, "'none' or 'push'", undefined),
  durability: readDurability
})

/**
 * Normalizes the options.
 * @throws INVALID_OPTION with a sentence that names the option, what was given and what is allowed
 */
export function readSettings (options: AuthPluginOptions, fastify: FastifyInstance): Settings {
  const {
    secret, redis, store, accessToken, refreshToken, routes, prefix, trustedOrigins, revocation,
    ...rest
  } = read(options, '')
  const { cookie: ofAccess, ...access } = accessToken
  const { idleLifetime: idle, cookie, spentOn, ...others } = refreshToken
  const cookieMode = ofAccess !== undefined
  const idleLifetime = idle ?? Math.min(14 * days, others.absoluteLifetime)
  if (idleLifetime > others.absoluteLifetime) {
    deny('refreshToken.idleLifetime', `${idleLifetime / 1000} s`,
      `up to refreshToken.absoluteLifetime, ${others.absoluteLifetime / 1000} s`)
  }
  const { lifetime } = access
  if (lifetime < 1000) deny('accessToken.lifetime', `${lifetime} ms`, 'one second or more')
  const scope = fastify.prefix.replace(/\/$/, '')
  const own = prefix.replace(/\/$/, '')
  const refreshCookie = readCookieSettings(cookie, {
    option: 'refreshToken.cookie',
    noun: 'refresh_token',
    path: scope || '/',
    // A page that a link from elsewhere leads to is to find its user logged in.
    sameSite: cookieMode ? 'lax' : 'strict'
  })
  const path = scope + own
  const settings = {
    store: chooseStore(store, redis, (fastify as FastifyInstance & { redis?: unknown }).redis),
    accessToken: access,
    accessCookie:
      readCookieMode(ofAccess, { ...access, ...others, scope: scope || '/', refreshCookie }),
    refreshToken: {
      ...others,
      idleLifetime,
      spentOn: spentOn ?? (cookieMode ? 'use' as const : 'issue' as const)
    },
    refreshCookie,
    path,
    routes: checkRoutes(routes, { ring: secret, issuer: access.issuer, path })
  }
  checkBindings(others.bindings, { ...settings, transports: others.transports })
  if (access.bound && !others.bindings.includes('dpop')) {
    deny('accessToken.bound', 'true', "nothing but false without 'dpop' in refreshToken.bindings")
  }
  return {
    ...rest,
    ...settings,
    ring: secret,
    prefix: own,
    isTrusted: createIsTrusted(trustedOrigins),
    initiators: initiatorsOf(trustedOrigins),
    push: readRevocation(revocation ?? defaultRevocation(cookieMode, settings.store), store),
    durability: checkDurability(rest.durability, store),
    warnings: [
      ...lifetimeWarnings(lifetime, idleLifetime), ...issuerWarnings(settings.routes, access.issuer)
    ]
  }
}

// What users of sessions expect of a logout, and what keeps an answer after it from bringing
// anybody back.
const defaultRevocation = (cookieMode: boolean, { listen }: Store): 'none' | 'push' =>
  cookieMode && listen !== undefined ? 'push' : 'none'

function readRevocation (revocation: 'none' | 'push', store: Store | undefined): boolean {
  if (revocation === 'push' && store !== undefined && store.listen === undefined) {
    deny('revocation', "'push'", "'none' with a store that has no listen()")
  }
  return revocation === 'push'
}

function checkDurability (durability: DurabilitySettings | undefined, store: Store | undefined) {
  if (durability !== undefined && store !== undefined && store.replication === undefined) {
    deny('durability', 'given', 'nothing with a store that has no replicas')
  }
  return durability
}

function lifetimeWarnings (lifetime: number, idleLifetime: number): string[] {
  const given = `accessToken.lifetime is ${lifetime / 1000} s`
  return [
    ...lifetime > days
      ? [`${given}, more than a day: durations are in seconds, and a revoked session lives ` +
        'on that long']
      : [],
    ...lifetime > idleLifetime
      ? [`${given}, more than refreshToken.idleLifetime: a session can run out before it`]
      : []
  ]
}
