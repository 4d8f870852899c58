import type { FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'
import type { Credentials } from '../http/credentials'
import type { Over } from '../session/endings'
import type { Services } from '../services'
import type { Outcome, Presentation, Rotation } from '../store/store'
import type { RefreshToken } from '../tokens/refresh-token'
import { createRenewClaims } from './renew-claims'
import { renewedContent } from './renewed-content'

/** What presenting a token came to in the end. */
type Presented = Exclude<Outcome, { outcome: 'changed' }>

/** How often content is written anew that another change has overtaken. */
const attempts = 10

/** Creates what presents a refresh token to the store, with the claims that the hook gives it. */
export function createRotate (services: Services) {
  const { settings, refreshTokens, store } = services
  const renewClaims = createRenewClaims(services)

  /**
   * Resolves with what presenting the token came to, or with what it is refused for by the hook. If
   * the session is changed while the hook is asked, both stand.
   * @throws what the hook throws, as a 5xx
   */
  return async function rotate (
    token: RefreshToken, presentation: Presentation, credentials: Credentials,
    request: FastifyRequest, over: Over
  ): Promise<Presented | Refusal> {
    const present = async (content: Rotation['content']) => await store.rotate(token.userTag, {
      signer: refreshTokens.signer,
      content,
      idleLifetime: Math.min(token.idleLifetime ?? Infinity, settings.refreshToken.idleLifetime),
      ...presentation
    })
    const renewed = settings.claims === undefined
      ? undefined
      : await renewClaims(token, presentation, credentials, request, over)
    if (renewed instanceof Error) return renewed
    if (renewed !== undefined) {
      let session = renewed.shown
      for (let left = attempts; left > 0; left--) {
        const outcome = await present(renewedContent(renewed, session))
        if (outcome.outcome !== 'changed') return outcome
        session = outcome.session
      }
    }
    // Nobody is kept out because others write all the time: what they have written stands.
    return await present(undefined) as Presented
  }
}
