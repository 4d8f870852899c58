import type { IncomingHttpHeaders } from 'node:http'
import { isObject } from '../options/schema'
import type { Transport } from '../session/session'
import { invalidAccessToken, missingAccessToken } from './challenge'
import type { Cookie } from './cookies'

/** The tokens that a request brings. None of them is verified yet. */
export interface Credentials {
  /** How the refresh tokens came; with none at all, how they would have come. */
  readonly transport: Transport
  readonly refreshTokens: readonly string[]
  /** The token of `Authorization`, `Bearer` or `DPoP`; `undefined`: none, or malformed. */
  readonly accessToken: string | undefined
  /**
   * The values of the access token's cookie; none without cookie mode, or beside a refresh token in
   * the body.
   */
  readonly accessCookies: readonly string[]
  /** The proofs of a device's key, in cookies. */
  readonly proofs: readonly string[]
  /** Whether the browser says that it cannot prove its key just now (`Secure-Session-Skipped`). */
  readonly isProofSkipped: boolean
  /** Whether the request was repeated, to bring a proof (`?proof`). */
  readonly isSecondTry: boolean
}

/** What is read of a request. */
interface Sent {
  headers: IncomingHttpHeaders
  body?: unknown
  url?: string
}

/** Reads the credentials of a request: once, for whoever needs them. */
export type ReadCredentials = (request: Sent) => Credentials

/**
 * Creates the reader for the transports that are on: a token in the body comes before those in
 * cookies.
 */
export function createReadCredentials (
  transports: readonly Transport[],
  refreshCookie: Cookie,
  accessCookie?: Cookie,
  proofCookie?: Cookie
): ReadCredentials {
  const byBody = transports.includes('body')
  const byCookie = transports.includes('cookie')
  return ({ headers, body, url }) => {
    const others = {
      accessToken: findToken(headers.authorization),
      proofs: proofCookie?.read(headers.cookie) ?? [],
      isProofSkipped: headers['secure-session-skipped'] !== undefined,
      isSecondTry: url !== undefined && isSecondTry.test(url)
    }
    const given = byBody && isObject(body) ? body.refresh_token : undefined
    if (given !== undefined && given !== '') {
      // A token that is not even text is as malformed as one can be.
      const refreshTokens = [typeof given === 'string' ? given : '?']
      return { transport: 'body', refreshTokens, accessCookies: [], ...others }
    }
    if (!byCookie) return { transport: 'body', refreshTokens: [], accessCookies: [], ...others }
    const refreshTokens = refreshCookie.read(headers.cookie)
    const accessCookies = accessCookie?.read(headers.cookie) ?? []
    return { transport: 'cookie', refreshTokens, accessCookies, ...others }
  }
}

/**
 * Returns whether a foreign page may be behind a logout. A body's token and one in an Authorization
 * header are beyond its reach; a cookie, and the clearing of one, are not. Nor is a password of the
 * scheme Basic, which browsers send by themselves.
 */
export const isWithinForeignReach = (
  { transport, refreshTokens, accessCookies, accessToken }: Credentials
): boolean => {
  const hasCookie = refreshTokens.length > 0 || accessCookies.length > 0
  return transport === 'cookie' && (hasCookie || accessToken === undefined)
}

const isSecondTry = /[?&]proof(?:[=&]|$)/
const bearer = /^bearer(?:[ \t]|$)/i
const dpop = /^dpop(?:[ \t]|$)/i

/** Returns whether an Authorization header is of the scheme Bearer, malformed or not. */
export const isBearer = (header: string | undefined): header is string =>
  header !== undefined && bearer.test(header)

/** Returns whether an Authorization header is of the scheme DPoP, malformed or not. */
export const isDpop = (header: string | undefined): header is string =>
  header !== undefined && dpop.test(header)

/**
 * Returns the token of an `Authorization: Bearer` header.
 * @throws ACCESS_TOKEN_MISSING, ACCESS_TOKEN_INVALID
 * @see RFC 6750 §2.1
 */
export function readBearer (header: string | undefined): string {
  if (!isBearer(header)) throw missingAccessToken('no Bearer token')
  return readToken(header)
}

/**
 * Returns the token of an Authorization header of either scheme.
 * @throws ACCESS_TOKEN_MISSING, ACCESS_TOKEN_INVALID
 */
export function readToken (header: string | undefined): string {
  if (!isBearer(header) && !isDpop(header)) throw missingAccessToken('no Bearer or DPoP token')
  const token = findToken(header)
  if (token === undefined) throw invalidAccessToken('a malformed Authorization header')
  return token
}

function findToken (header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  const scheme = isBearer(header) ? 'Bearer' : isDpop(header) ? 'DPoP' : undefined
  if (scheme === undefined) return undefined
  const token = header.slice(scheme.length).trim()
  return token === '' || token.includes(' ') || token.includes('\t') ? undefined : token
}
