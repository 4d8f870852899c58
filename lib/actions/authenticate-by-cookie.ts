import type { FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'
import { expiredAccessToken, missingAccessToken, revokedSession } from '../http/challenge'
import type { Cookie } from '../http/cookies'
import { checkOrigin, isUnsafe } from '../http/cross-origin'
import { hasBegun } from '../http/has-begun'
import { keepPrivate } from '../http/keep-private'
import type { Services } from '../services'
import type { AccessClaims } from '../tokens/access-token'
import { newestFirst } from './named-by-access-token'
import type { Answer, Renewals } from './renewals'
import { createVerifyLiving } from './verify-living'

/** Which of several refusals says most. */
const order = ['SESSION_REVOKED', 'ACCESS_TOKEN_EXPIRED', 'ACCESS_TOKEN_INVALID']

/**
 * Creates what authenticates a request by its cookies: by the access token's, or else by a
 * renewal with the refresh token's.
 */
export function createAuthenticateByCookie (
  services: Services, accessCookie: Cookie, renewals: Renewals
) {
  const { accessTokens, isTrusted, readCredentials, refreshCookie, store, watch } = services
  const verifyLiving = createVerifyLiving(services)

  /**
   * Returns the claims; a promise only if the store is asked: not while the access cookie lives.
   * @throws CROSS_ORIGIN_REQUEST, or why neither cookie is good
   */
  return function authenticateByCookie (
    request: FastifyRequest, answer: Answer | undefined, mayRenew: boolean
  ): AccessClaims | Promise<AccessClaims> {
    const { cookie } = request.headers
    const texts = accessCookie.read(cookie)
    if (isUnsafe(request) && (texts.length > 0 || refreshCookie.read(cookie).length > 0)) {
      checkOrigin(request, isTrusted)
    }
    const [first, ...others] = texts.length > 1 ? sort(texts) : texts
    if (first === undefined) return renew(request, answer, mayRenew, [])
    const next = async (refusal: Refusal) =>
      await tryOthers(request, answer, mayRenew, others, refusal)
    try {
      const claims = verifyLiving(first)
      if (claims instanceof Promise) {
        return claims.then((claims) => asPrivate(request, answer, claims), next)
      }
      return asPrivate(request, answer, claims)
    } catch (error) {
      return next(error as Refusal)
    }
  }

  // Forgeries stand last: one of them may be all that there is.
  function sort (texts: string[]): string[] {
    const authentic = newestFirst(accessTokens, texts).map(({ text }) => text)
    return [...authentic, ...texts.filter((text) => !authentic.includes(text))]
  }

  async function tryOthers (
    request: FastifyRequest, answer: Answer | undefined, mayRenew: boolean, others: string[],
    refusal: Refusal
  ): Promise<AccessClaims> {
    const refusals = [refusal]
    for (const text of others) {
      try {
        return asPrivate(request, answer, await verifyLiving(text))
      } catch (error) {
        refusals.push(error as Refusal)
      }
    }
    return await renew(request, answer, mayRenew, refusals)
  }

  async function renew (
    request: FastifyRequest, answer: Answer | undefined, mayRenew: boolean, refusals: Refusal[]
  ): Promise<AccessClaims> {
    const [refusal = missingAccessToken('neither a Bearer token nor a cookie')] =
      refusals.sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code))
    // A body is not looked at: it is the application's.
    const credentials = readCredentials({ headers: request.headers })
    if (!mayRenew || credentials.refreshTokens.length === 0) throw refusal
    if (renewals.isTooLate(request, answer)) throw refusal
    const token = await renewals.renew(request, answer, credentials).catch((error: Refusal) => {
      const isOver = error.code === 'REFRESH_TOKEN_INVALID' && refusal.code === 'SESSION_REVOKED'
      throw isOver ? refusal : error
    })
    // Each guard's own copy. The store has said that the session lives: it is not asked again. A
    // stream or a socket may ask when the token has expired.
    const claims = accessTokens.verify(token) as AccessClaims
    if (claims.exp * 1000 <= store.now()) throw expiredAccessToken()
    if (watch.isKnownToHaveEnded(claims.sid)) throw revokedSession('its session is over')
    return asPrivate(request, answer, claims)
  }
}

// A stream or a socket may ask every second.
function asPrivate (
  request: FastifyRequest, answer: Answer | undefined, claims: AccessClaims
): AccessClaims {
  if (answer !== undefined && !hasBegun(request, answer)) keepPrivate(answer.raw)
  return claims
}
