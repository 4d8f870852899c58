import type { IncomingHttpHeaders } from 'node:http'
import {
  RefreshTokenExpiredError, RefreshTokenInvalidError, RefreshTokenMissingError, refuse
} from '../errors'
import { invalidAccessToken } from '../http/challenge'
import { readBearer, readToken, type Credentials } from '../http/credentials'
import { checkOrigin } from '../http/cross-origin'
import type { Services } from '../services'
import type { RefreshToken } from '../tokens/refresh-token'
import { namedByAccessToken } from './named-by-access-token'

/** How many sessions one request may ask the store about. */
const most = 4

/** What is used of a request. */
interface Sent {
  headers: IncomingHttpHeaders
  host: string
}

/**
 * Finds the refresh tokens that a request may be answered by: one for each session that an
 * authentic and living token names, at most four. The session that the access token names comes
 * first, then the one with the most life left.
 * @param fromAnywhere the page that asks may be foreign, or has been judged before
 * @throws what none at all is refused for, before the store is asked
 */
export function findCandidates (
  services: Services, credentials: Credentials, request: Sent, fromAnywhere = false
): RefreshToken[] {
  const { settings, accessTokens, isTrusted } = services
  const living = findLiving(services, credentials)
  if (credentials.transport === 'cookie' && !fromAnywhere) checkOrigin(request, isTrusted)
  const { paired } = settings.refreshToken
  if (living.length === 1 && !paired) return living
  const named = namedByAccessToken(accessTokens, credentials)[0]?.claims.sid
  const candidates = newestOfEach(living)
    .sort((a, b) => Number(b.sid === named) - Number(a.sid === named) || b.exp - a.exp)
  if (!paired) return candidates.slice(0, most)
  const { authorization } = request.headers
  if (settings.accessToken.bound) readToken(authorization)
  else readBearer(authorization)
  const both = candidates.filter(({ sid }) => sid === named)
  if (both.length === 0) throw invalidAccessToken('not an access token of the same session')
  return both
}

/**
 * Returns the refresh tokens of a request that have not expired.
 * @throws REFRESH_TOKEN_* if there is none
 */
export function findLiving (services: Services, credentials: Credentials): RefreshToken[] {
  if (credentials.refreshTokens.length === 0) {
    throw refuse(RefreshTokenMissingError, 'no refresh token')
  }
  const authentic = findAuthentic(services, credentials)
  if (authentic.length === 0) {
    const reason = 'not a refresh token of this ring, or not of this transport'
    throw refuse(RefreshTokenInvalidError, reason)
  }
  // exp is in the store's time: while that is not known, the store is asked.
  const time = services.store.knownTime() ?? 0
  const living = authentic.filter(({ exp }) => exp * 1000 > time)
  if (living.length === 0) throw refuse(RefreshTokenExpiredError, 'its exp has passed')
  return living
}

/** Returns the authentic refresh tokens of a request, expired or not. */
export function findAuthentic (
  { refreshTokens }: Services, { refreshTokens: texts, transport }: Credentials
): RefreshToken[] {
  return texts.flatMap((text) => refreshTokens.verify(text) ?? [])
    .filter((token) => token.transport === transport)
}

/**
 * Returns of each session the token of the highest generation, of two such the one handed out last.
 */
export function newestOfEach (tokens: readonly RefreshToken[]): RefreshToken[] {
  const newest = new Map<string, RefreshToken>()
  for (const token of [...tokens].sort((a, b) => a.generation - b.generation)) {
    const known = newest.get(token.sid)
    const isOlder = known?.generation === token.generation && known.handedOutAt > token.handedOutAt
    if (!isOlder) newest.set(token.sid, token)
  }
  return [...newest.values()]
}
