import type { FastifyRequest } from 'fastify'
import { unprovenAccessToken } from '../binding/dpop/refusal'
import { expiredAccessToken, invalidAccessToken, revokedSession } from '../http/challenge'
import type { Services } from '../services'
import type { AccessClaims } from '../tokens/access-token'

/**
 * Creates what verifies an access token, its time, the key that it is bound to, and as far as this
 * node knows that its session has not ended.
 */
export function createVerifyLiving ({ accessTokens, dpop, store, watch }: Services) {
  /**
   * Returns the claims; a promise only if the store must be asked: most requests need none.
   * @param prover the request, if it presents the token as `DPoP`: it must prove the token's key
   * @throws ACCESS_TOKEN_INVALID, ACCESS_TOKEN_EXPIRED, SESSION_REVOKED, DPOP_*
   */
  return function verifyLiving (
    token: string, prover?: FastifyRequest
  ): AccessClaims | Promise<AccessClaims> {
    const claims = accessTokens.verify(token)
    if (claims === undefined) throw invalidAccessToken('not an access token of this ring')
    if (claims.exp * 1000 <= store.now()) throw expiredAccessToken()
    // Whatever the options say now: a bound token is never worth anything without its key.
    if (prover !== undefined || claims.cnf !== undefined) checkKey(claims, token, prover)
    const ended = watch.hasEnded(claims.sid, claims.sub)
    if (ended === false) return claims
    if (ended === true) throw revokedSession('its session is over')
    return ended.then((ended) => {
      if (ended) throw revokedSession('its session is over')
      return claims
    })
  }

  function checkKey ({ cnf }: AccessClaims, token: string, prover?: FastifyRequest): void {
    if (cnf === undefined) throw unprovenAccessToken('an unbound access token, as DPoP')
    if (prover === undefined) throw unprovenAccessToken('a bound access token, not as DPoP')
    if (dpop.readOnce(prover, token) === cnf.jkt) return
    throw unprovenAccessToken('its proof is by another key')
  }
}
