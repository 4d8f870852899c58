import type { SerializeOptions } from '@fastify/cookie'
import { deny, isBoolean, isString, object, value } from '../options/schema'

/** The attributes of a cookie, as in @fastify/cookie, and its name. */
export interface CookieOptions {
  /**
   * Used as it is.
   * @default `refresh_token`, with the strictest prefix that the attributes allow: `__Host-`
   */
  name?: string | undefined
  /** The host and all below it. @default none: this host alone */
  domain?: string | undefined
  /** Where it is sent to. @default the scope of the registration */
  path?: string | undefined
  /** Sent over https only, and to localhost over http too. @default true */
  secure?: boolean | undefined
  /** Scripts of a page cannot read it. @default true */
  httpOnly?: boolean | undefined
  /** Whether pages of another site send it. @default 'strict'; 'lax' in cookie mode */
  sameSite?: boolean | 'strict' | 'lax' | 'none' | undefined
  /** One for each site that embeds the page (CHIPS). @default false */
  partitioned?: boolean | undefined
  /** What a browser keeps when it has too many. @default 'medium' */
  priority?: 'low' | 'medium' | 'high' | undefined
}

/** A cookie's name and attributes. */
export interface CookieSettings {
  readonly name: string
  readonly attributes: SerializeOptions
}

type SameSite = boolean | 'strict' | 'lax' | 'none'
type Priority = 'low' | 'medium' | 'high'

const isToken = (given: unknown): given is string =>
  isString(given) && /^[\w!#$%&'*+.^`|~-]+$/.test(given)
// The name of a host, RFC 1123 §2.1: what else there is, @fastify/cookie refuses at each login.
const label = '[a-z\\d](?:[a-z\\d-]{0,61}[a-z\\d])?'
const domain = new RegExp(`^\\.?${label}(?:\\.${label})*$`, 'i')
const isDomain = (given: unknown): given is string => isString(given) && domain.test(given)
const isPath = (given: unknown): given is string =>
  isString(given) && /^\/[\x21-\x3a\x3c-\x7e]*$/.test(given)
const isSameSite = (given: unknown): given is SameSite =>
  [true, false, 'strict', 'lax', 'none'].includes(given as SameSite)
const isPriority = (given: unknown): given is Priority =>
  ['low', 'medium', 'high'].includes(given as Priority)

const read = object({
  name: value(isToken, 'a cookie name', undefined),
  domain: value(isDomain, "a domain such as 'example.com'", undefined),
  path: value(isPath, "a path such as '/auth'", undefined),
  secure: value(isBoolean, 'true or false', true),
  httpOnly: value(isBoolean, 'true or false', true),
  sameSite: value(isSameSite, "'strict', 'lax', 'none', true or false", undefined),
  partitioned: value(isBoolean, 'true or false', undefined),
  priority: value(isPriority, "'low', 'medium' or 'high'", undefined)
})

/** The longest life that browsers grant a cookie, in seconds. @see RFC 6265bis §5.5 */
export const longestMaxAge = 400 * 24 * 60 * 60

/** What a cookie is where its options say nothing. */
interface Defaults {
  /** Where the options stand. */
  option: string
  noun: 'refresh_token' | 'access_token'
  path: string
  sameSite: 'strict' | 'lax'
}

/**
 * Normalizes the attributes, and finds the strictest name that they allow.
 * @see RFC 6265bis §4.1.3
 */
export function readCookieSettings (given: unknown, defaults: Defaults): CookieSettings {
  const { option, noun } = defaults
  const {
    name,
    path = defaults.path,
    sameSite = defaults.sameSite,
    ...others
  } = read(given, option)
  if (path === defaults.path && /[:*]/.test(path)) {
    deny(
      `${option}.path`,
      'missing',
      `a fixed path: that of the plugin's scope, ${path}, has parameters`
    )
  }
  if (sameSite === 'none' && !others.secure) {
    deny(
      `${option}.sameSite`,
      "'none' without secure",
      "'none' only with secure: browsers drop such a cookie"
    )
  }
  if (others.partitioned && !others.secure) {
    deny(
      `${option}.partitioned`,
      'true without secure',
      'true only with secure: browsers drop such a cookie'
    )
  }
  const all = { path, sameSite, ...others }
  const attributes = Object.fromEntries(
    Object.entries(all).filter(([, attribute]) => attribute !== undefined)
  )
  const hostPrefix = others.secure && path === '/' && others.domain === undefined
  if (name !== undefined) {
    if (/^__host-/i.test(name) && !hostPrefix) {
      deny(
        `${option}.name`,
        `"${name}"`,
        'the prefix __Host- only with secure, path / and no domain'
      )
    }
    if (/^__(?:host-)?http-/i.test(name) && !(others.secure && others.httpOnly)) {
      deny(`${option}.name`, `"${name}"`, 'the prefix __Http- only with secure and httpOnly')
    }
    if (/^__secure-/i.test(name) && !others.secure) {
      deny(`${option}.name`, `"${name}"`, 'the prefix __Secure- only with secure')
    }
  }
  return {
    name: name ?? `${hostPrefix ? '__Host-' : others.secure ? '__Secure-' : ''}${noun}`,
    attributes
  }
}
