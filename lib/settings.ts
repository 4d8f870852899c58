import type { FastifyInstance } from 'fastify'
import { checkBindings } from './binding-option'
import { initiatorsOf } from './binding/dbsc/instructions'
import { readCookieMode } from './http/access-cookie-settings'
import { readCookieSettings, type CookieSettings } from './http/cookie-settings'
import { createIsTrusted, type IsTrusted } from './http/cross-origin'
import type { AuthPluginOptions, Binding, ClaimsHook, ReuseHook } from './options/options'
import { deny } from './options/schema'
import { chooseIdleLifetime, lifetimeWarnings } from './lifetimes'
import { readOptions } from './read-options'
import { checkRoutes, issuerWarnings, type Routes } from './routes-option'
import type { DurabilitySettings } from './session/durability'
import type { Transport } from './session/session'
import { checkDurability, checkRevocation, chooseStore } from './store-option'
import type { Store } from './store/store'
import type { Key } from './tokens/keys'

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

/**
 * Normalizes the options.
 * @throws INVALID_OPTION with a sentence that names the option, what was given and what is allowed
 */
export function readSettings (options: AuthPluginOptions, fastify: FastifyInstance): Settings {
  const {
    secret, redis, store, accessToken, refreshToken, routes, prefix, trustedOrigins, revocation,
    ...rest
  } = readOptions(options, '')
  const { cookie: ofAccess, ...access } = accessToken
  const { idleLifetime: idle, cookie, spentOn, ...others } = refreshToken
  const cookieMode = ofAccess !== undefined
  const { lifetime } = access
  const idleLifetime = chooseIdleLifetime(idle, others.absoluteLifetime)
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
    push: checkRevocation(revocation, cookieMode, settings.store),
    durability: checkDurability(rest.durability, settings.store),
    warnings: [
      ...lifetimeWarnings(lifetime, idleLifetime, others.gracePeriod),
      ...issuerWarnings(settings.routes, access.issuer)
    ]
  }
}
