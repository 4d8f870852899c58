import { expiredAccessToken, invalidAccessToken, revokedSession } from '../http/challenge'
import type { Services } from '../services'
import type { AccessClaims } from '../tokens/access-token'

/** Creates what verifies an access token, its time, and as far as this node knows that its session has not ended. */
export function createVerifyLiving ({ accessTokens, store, watch }: Services) {
  /**
   * Returns the claims; a promise only if the store must be asked: most requests need none.
   * @throws ACCESS_TOKEN_INVALID, ACCESS_TOKEN_EXPIRED, SESSION_REVOKED
   */
  return function verifyLiving (token: string): AccessClaims | Promise<AccessClaims> {
    const claims = accessTokens.verify(token)
    if (claims === undefined) throw invalidAccessToken('not an access token of this ring')
    if (claims.exp * 1000 <= store.now()) throw expiredAccessToken()
    const ended = watch.hasEnded(claims.sid, claims.sub)
    if (ended === false) return claims
    if (ended === true) throw revokedSession('its session is over')
    return ended.then((ended) => {
      if (ended) throw revokedSession('its session is over')
      return claims
    })
  }
}
