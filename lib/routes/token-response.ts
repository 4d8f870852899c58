import type { FastifyReply } from 'fastify'
import type { Issued } from '../actions/issue'
import type { Cookie } from '../http/cookies'

/** The answer to a login and to a refresh. @see RFC 6749 §5.1 */
export interface TokenResponse {
  access_token: string
  token_type: 'Bearer' | 'DPoP'
  /** How long the access token lives, in seconds. */
  expires_in: number
  /** With the body transport only. */
  refresh_token?: string
}

/** Writes the refresh token's cookie, if it travels in one, and returns the body of the answer. */
export function writeTokens (reply: FastifyReply, issued: Issued, refreshCookie: Cookie): TokenResponse {
  const { accessToken, expiresIn, refreshToken, transport, keptFor } = issued
  reply.header('cache-control', 'no-store')
  const response: TokenResponse = { access_token: accessToken, token_type: 'Bearer', expires_in: expiresIn }
  if (transport === 'body') response.refresh_token = refreshToken
  else refreshCookie.write(reply, refreshToken, keptFor)
  return response
}
