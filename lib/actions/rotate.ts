import type { FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'
import type { Credentials } from '../http/credentials'
import type { Over } from '../session/endings'
import type { Services } from '../services'
import type { Outcome, Presentation } from '../store/store'
import type { RefreshToken } from '../tokens/refresh-token'
import { attempts, overtaken } from './contention'
import { createRenewClaims } from './renew-claims'

/** What presenting a token came to in the end. */
type Presented = Exclude<Outcome, { outcome: 'changed' }>

/** Creates what presents a refresh token to the store, with the claims that the hook gives it. */
export function createRotate (services: Services) {
  const { settings, refreshTokens, store } = services
  const renewClaims = createRenewClaims(services)

  /**
   * Resolves with what presenting the token came to, or with what it is refused for by the hook.
   * What the hook has been told is what it decides on: if the session has been updated meanwhile,
   * it is asked again.
   * @throws STORE_UNAVAILABLE, and what the hook throws, as a 5xx
   */
  return async function rotate (
    token: RefreshToken, presentation: Presentation, credentials: Credentials,
    request: FastifyRequest, over: Over
  ): Promise<Presented | Refusal> {
    for (let left = attempts; left > 0; left--) {
      const content = settings.claims === undefined
        ? undefined
        : await renewClaims(token, presentation, credentials, request, over)
      if (content instanceof Error) return content
      const outcome = await store.rotate(token.userTag, {
        signer: refreshTokens.signer,
        content,
        idleLifetime: Math.min(
          token.idleLifetime ?? Infinity, settings.refreshToken.idleLifetime
        ),
        ...presentation
      })
      if (outcome.outcome !== 'changed') return outcome
    }
    throw overtaken()
  }
}
