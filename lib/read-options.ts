import { readBindings } from './binding-option'
import { readAccessCookie } from './http/access-cookie-settings'
import type { CookieOptions } from './http/cookie-settings'
import { readTrustedOrigins } from './http/trusted-origins'
import type { ClaimsHook, ReuseHook } from './options/options'
import {
  duration, isBoolean, isListOf, isString, object, value, wait
} from './options/schema'
import { readRoutes } from './routes-option'
import { readDurability } from './session/durability'
import type { Transport } from './session/session'
import { readStoreOption } from './store-option'
import { readRing } from './tokens/keys'

const minutes = 60_000
const days = 24 * 60 * minutes

const isTransport = (given: unknown): given is Transport => given === 'cookie' || given === 'body'
const isTransports = (given: unknown): given is [Transport, ...Transport[]] =>
  isListOf(isTransport)(given) && given.length > 0 && new Set(given).size === given.length
const isLimit = (given: unknown): given is number =>
  typeof given === 'number' && given >= 1 && (Number.isInteger(given) || given === Infinity)
const isPrefix = (given: unknown): given is string =>
  typeof given === 'string' && /^(\/[\w.~-]+)*\/?$/.test(given)
const isAudience = (given: unknown): given is string | string[] =>
  isString(given) || (isListOf(isString)(given) && given.length > 0)
const isRevocation = (given: unknown): given is 'none' | 'push' =>
  given === 'none' || given === 'push'
const isSpentOn = (given: unknown): given is 'issue' | 'use' => given === 'issue' || given === 'use'
const isHook = <T extends ClaimsHook | ReuseHook>(given: unknown): given is T =>
  typeof given === 'function'

/**
 * Reads each option for itself, and fills in the defaults that depend on no other.
 * @throws INVALID_OPTION
 */
export const readOptions = object({
  secret: readRing,
  ...readStoreOption,
  accessToken: object({
    lifetime: duration(30 * minutes, 1000),
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
  trustedOrigins: readTrustedOrigins,
  storeTimeout: wait(500),
  claims: value(isHook<ClaimsHook>, 'a function', undefined),
  onReuse: value(isHook<ReuseHook>, 'a function', undefined),
  revocation: value(isRevocation, "'none' or 'push'", undefined),
  durability: readDurability
})
