import type { FastifyRequest } from 'fastify'
import { namedByAccessToken } from '../actions/named-by-access-token'
import type { Credentials } from '../http/credentials'
import type { Services } from '../services'

/** Looks at a refresh or a logout. */
export type PathHint = (request: FastifyRequest, credentials: Credentials) => void

const cure = "set refreshToken.cookie.path to '/', or to the path that the browser sees"

/**
 * Creates what warns, once, that the refresh cookie never comes back: a proxy strips a prefix, and
 * the cookie's Path has none. It looks at refreshes and logouts, until the first that brings the
 * cookie. A visitor without a login is no reason to warn.
 * @see RFC 6265 §5.1.4
 */
export function createPathHint (
  { accessTokens, log, settings, store }: Services
): PathHint {
  const path = settings.refreshCookie.attributes.path as string
  const { lifetime } = settings.accessToken
  const byBody = settings.refreshToken.transports.includes('body')
  let isOver = path === '/'

  return function hint (request, credentials) {
    if (isOver || credentials.transport !== 'cookie') return
    const site = request.headers['sec-fetch-site']
    const isFound = credentials.refreshTokens.length > 0
    // A program keeps cookies as it likes.
    const found = isFound || site === undefined ? undefined : find(request, credentials, site)
    isOver = isFound || found !== undefined
    if (found !== undefined) log.warn({ path }, `${found}; ${cure}`)
  }

  function find (
    request: FastifyRequest, credentials: Credentials, site: unknown
  ): string | undefined {
    const asked = findAsked(request)
    if (asked !== undefined) {
      if (isWithin(asked, path)) return undefined
      return `the browser asks for ${asked}, where a cookie with Path=${path} does not go`
    }
    // Of another origin, it may be the page that sends no cookies; with an empty body, one that
    // uses no cookie.
    if (site !== 'same-origin' || byBody || !holdsToken(credentials)) return undefined
    return 'a page with an access token sends no refresh cookie: its Path is ' +
      `${path}, and maybe a proxy serves the plugin's routes under another`
  }

  // Whoever was logged in long ago may have lost the cookie, but kept the access token.
  function holdsToken (credentials: Credentials): boolean {
    const now = store.now()
    return namedByAccessToken(accessTokens, credentials)
      .some(({ claims }) => claims.exp * 1000 + lifetime > now)
  }
}

/**
 * Returns the path that the browser asked for; `undefined`: nobody says that it is another than is
 * seen here.
 */
function findAsked ({ headers, originalUrl, url }: FastifyRequest): string | undefined {
  const prefix = headers['x-forwarded-prefix']
  const [seen = ''] = originalUrl.split('?')
  if (originalUrl !== url) return seen
  // One that is still there was not stripped.
  const isStripped = typeof prefix === 'string' && /^(?:\/[\w.~-]{1,50}){1,9}$/.test(prefix) &&
    !isWithin(seen, prefix)
  return isStripped ? prefix + seen : undefined
}

const isWithin = (path: string, cookiePath: string): boolean =>
  `${path}/`.startsWith(cookiePath.replace(/\/?$/, '/'))
