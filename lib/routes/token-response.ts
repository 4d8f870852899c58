import type { FastifyReply } from 'fastify'
import type { Issued } from '../actions/issue'
import { tokenCookies } from '../actions/token-cookies'
import type { Services } from '../services'

/** The answer to a login and to a refresh. @see RFC 6749 §5.1 */
export interface TokenResponse {
  /** Not in cookie mode with the cookie transport: there it travels in a cookie. */
  access_token?: string
  /** With `access_token`: how it is presented. `'DPoP'` if it is bound. @see RFC 9449 §5 */
  token_type?: 'Bearer' | 'DPoP'
  /** How long the access token lives, in seconds. */
  expires_in: number
  /** With the body transport only. */
  refresh_token?: string
}

/**
 * Writes the cookies of the tokens that travel in one, and the next nonce, and returns the body of
 * the answer.
 * @throws INVALID_CLAIMS
 */
export function writeTokens (
  services: Services, reply: FastifyReply, issued: Issued
): TokenResponse {
  const { accessToken, tokenType, expiresIn, refreshToken, transport, nonce } = issued
  const inCookies = transport === 'cookie'
  if (inCookies) {
    for (const line of tokenCookies(services, issued)) reply.header('set-cookie', line)
  }
  if (nonce !== undefined) reply.header('dpop-nonce', nonce)
  reply.header('cache-control', 'no-store')
  if (inCookies && services.accessCookie !== undefined) return { expires_in: expiresIn }
  const response: TokenResponse =
    { access_token: accessToken, token_type: tokenType, expires_in: expiresIn }
  return inCookies ? response : { ...response, refresh_token: refreshToken }
}

/** Takes the cookies of both tokens away from the browser. */
export function clearTokens ({ accessCookie, refreshCookie }: Services, reply: FastifyReply): void {
  accessCookie?.clear(reply)
  refreshCookie.clear(reply)
}
