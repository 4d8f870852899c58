import { fastifyCookie, type SerializeOptions } from '@fastify/cookie'
import { deny, isBoolean, isString, object, value } from '../options/schema'

/** The attributes of the refresh cookie, as in @fastify/cookie, and its name. */
export type CookieOptions = Pick<SerializeOptions, 'domain' | 'httpOnly' | 'partitioned' | 'path' | 'priority' | 'sameSite'> & { name?: string, secure?: boolean }

export interface CookieSettings {
  name: string
  attributes: SerializeOptions
}

type SameSite = boolean | 'strict' | 'lax' | 'none'
type Priority = 'low' | 'medium' | 'high'

const isToken = (given: unknown): given is string => isString(given) && /^[\w!#$%&'*+.^`|~-]+$/.test(given)
const isAttribute = (given: unknown): given is string => isString(given) && /^[\x21-\x3a\x3c-\x7e]+$/.test(given)
const isPath = (given: unknown): given is string => isAttribute(given) && given.startsWith('/')
const isSameSite = (given: unknown): given is SameSite => [true, false, 'strict', 'lax', 'none'].includes(given as SameSite)
const isPriority = (given: unknown): given is Priority => ['low', 'medium', 'high'].includes(given as Priority)

const read = object({
  name: value(isToken, 'a cookie name', undefined),
  domain: value(isAttribute, 'a domain', undefined),
  path: value(isPath, "a path such as '/auth'", undefined),
  secure: value(isBoolean, 'true or false', true),
  httpOnly: value(isBoolean, 'true or false', true),
  sameSite: value(isSameSite, "'strict', 'lax', 'none', true or false", 'strict' as const),
  partitioned: value(isBoolean, 'true or false', undefined),
  priority: value(isPriority, "'low', 'medium' or 'high'", undefined)
})

/** The longest life that browsers grant a cookie, in seconds. @see RFC 6265bis §5.5 */
export const longestMaxAge = 400 * 24 * 60 * 60

/** Normalises the attributes and finds the strictest name that they allow. @see RFC 6265bis §4.1.3 */
export function readCookie (given: unknown, defaultPath: string): CookieSettings {
  const { name, path = defaultPath, ...others } = read(given, 'refreshToken.cookie')
  if (path === defaultPath && /[:*]/.test(path)) deny('refreshToken.cookie.path', 'missing', `a fixed path: that of the routes, ${path}, has parameters`)
  const attributes = Object.fromEntries(Object.entries({ path, ...others }).filter(([, attribute]) => attribute !== undefined))
  const securePrefix = others.secure
  const hostPrefix = others.secure && path === '/' && others.domain === undefined
  if (name !== undefined) {
    if (/^__host-/i.test(name) && !hostPrefix) deny('refreshToken.cookie.name', `"${name}"`, 'the prefix __Host- only with secure, path / and no domain')
    if (/^__secure-/i.test(name) && !securePrefix) deny('refreshToken.cookie.name', `"${name}"`, 'the prefix __Secure- only with secure')
  }
  return { name: name ?? `${hostPrefix ? '__Host-' : securePrefix ? '__Secure-' : ''}refresh_token`, attributes }
}

/** All values that a Cookie header holds for one name: an old cookie of another path or domain may stand before the right one. */
export function cookieValues (header: string | undefined, name: string): string[] {
  const values: string[] = []
  for (const pair of header?.split(';') ?? []) {
    const value = pair.includes(name) ? fastifyCookie.parse(pair)[name] : undefined
    if (value) values.push(value)
  }
  return values
}

/** A Set-Cookie header; `maxAge` in seconds, `undefined` for a cookie that goes with the browser's session. */
export function setCookie ({ name, attributes }: CookieSettings, content: string, maxAge: number | undefined): string {
  return fastifyCookie.serialize(name, content, maxAge === undefined ? attributes : { maxAge, ...attributes })
}
