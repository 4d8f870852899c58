import type { FastifyRequest } from 'fastify'
import { invalidAccessToken, readBearer } from '../tokens/access-token'
import type { Context } from '../services'
import { checkOrigin } from '../http/cross-origin'
import { RefreshTokenExpiredError, RefreshTokenInvalidError, RefreshTokenMissingError, refuse } from '../errors'
import type { RefreshToken } from '../tokens/refresh-token'
import { presented } from '../http/credentials'

/**
 * Finds the refresh tokens that a request may be answered by: one for each session that an authentic and living token names, the
 * one with the most life left first. @throws what none at all is refused for, before the store is asked
 */
export function findCandidates (context: Context, request: FastifyRequest): RefreshToken[] {
  const { settings, refreshTokens } = context
  const { via, texts } = presented(request, settings.refreshToken.transports, settings.cookie)
  if (texts.length === 0) throw refuse(RefreshTokenMissingError, 'no refresh token')
  const authentic = texts.map(refreshTokens.recognise).filter((token) => token?.via === via) as RefreshToken[]
  if (authentic.length === 0) throw refuse(RefreshTokenInvalidError, 'not a refresh token of ours, or not of this transport')
  // exp is in the store's time: while that is not known, the store is asked.
  const time = settings.store.now() ?? 0
  const living = authentic.filter(({ exp }) => exp * 1000 > time)
  if (living.length === 0) throw refuse(RefreshTokenExpiredError, 'its exp has passed')
  if (via === 'cookie') checkOrigin(request, settings.trustedOrigins)
  const newest = new Map<string, RefreshToken>()
  for (const token of living.sort((a, b) => a.gen - b.gen)) newest.set(token.sid, token)
  const candidates = [...newest.values()].sort((a, b) => b.exp - a.exp)
  return settings.refreshToken.paired ? pair(context, candidates, request) : candidates
}

function pair ({ accessTokens }: Context, candidates: RefreshToken[], request: FastifyRequest): RefreshToken[] {
  const claims = accessTokens.recognise(readBearer(request.headers.authorization))
  const paired = candidates.filter(({ sid }) => sid === claims?.sid)
  if (paired.length === 0) throw invalidAccessToken('not an access token of the same session')
  return paired
}
