import type { FastifyReply } from 'fastify'
import type { Context } from '../services'
import type { RefreshToken } from '../tokens/refresh-token'
import type { Content } from '../session/session'
import type { SessionRecord } from '../store/store'
import { writeCookie } from '../http/credentials'

/** The answer to a login and to a refresh. @see RFC 6749 §5.1 */
export interface TokenResponse {
  access_token: string
  token_type: 'Bearer'
  /** seconds */
  expires_in: number
  /** With the body transport only. */
  refresh_token?: string
}

/** Issues both tokens of the session's present generation, each by its own way. */
export function issue ({ settings, accessTokens, refreshTokens, now }: Context, reply: FastifyReply, record: SessionRecord, content: Content, token: Pick<RefreshToken, 'key' | 'tag' | 'via'>): TokenResponse {
  const time = now()
  const access = accessTokens.sign(record, content, time)
  const refresh = refreshTokens.sign(token, record)
  reply.header('cache-control', 'no-store')
  const response: TokenResponse = { access_token: access.token, token_type: 'Bearer', expires_in: access.expiresIn }
  if (token.via === 'body') response.refresh_token = refresh
  else writeCookie(reply, settings.cookie, refresh, content.remember ? record.expiresAt - time : undefined)
  return response
}
