import type { FastifyReply, FastifyRequest } from 'fastify'
import { findCandidates } from './refresh-candidates'
import { callHook, readClaims } from '../session/claims'
import type { Context } from '../services'
import { announceEnd } from '../session/endings'
import { InvalidClaimsError, RefreshTokenExpiredError, RefreshTokenInvalidError, RefreshTokenReusedError, SessionRevokedError, refuse } from '../errors'
import { emit } from '../events'
import { issue, type TokenResponse } from './issue'
import { checkSize } from './login'
import type { RefreshToken } from '../tokens/refresh-token'
import { contentOf, toSession, toText } from '../session/session'
import type { Outcome, SessionRecord } from '../store/store'

type Judged = Exclude<Outcome, { outcome: 'unknown' }>

const invalidClaims = (sentence: string) => new InvalidClaimsError(`the claims hook: ${sentence}`)

/** Makes what `POST {prefix}/refresh` does. @see RFC 6749 §6, RFC 9700 §4.14.2 */
export function createRefresh (context: Context) {
  const { settings, refreshTokens, ask, durability, now } = context

  return async function refresh (request: FastifyRequest, reply: FastifyReply): Promise<TokenResponse> {
    let refusal: Error | undefined
    for (const token of findCandidates(context, request)) {
      const outcome = await present(token, request)
      // Another session's cookie, left over from an earlier login or planted, must not lock the living one out.
      if (outcome instanceof Error) {
        refusal ??= outcome
        continue
      }
      const { session, distance, msSinceRotation } = outcome
      const content = contentOf(session)
      const event = { sid: session.sid, sub: content.sub, generation: session.generation, msSinceRotation }
      if (outcome.outcome === 'repeated') {
        emit('repeat', { ...event, distance })
      } else {
        if (distance > 0) emit('heal', { ...event, distance })
        emit('refresh', event)
      }
      return issue(context, reply, session, content, token)
    }
    throw refusal
  }

  // What the token is refused for is answered; only accidents are thrown.
  async function present (token: RefreshToken, request: FastifyRequest): Promise<Judged | Error> {
    const { sid, tag, gen } = token
    const { idleLifetime, gracePeriod } = settings.refreshToken
    let text: string | undefined
    if (settings.claims !== undefined) {
      const session = await ask((store, within) => store.find(tag, sid, within))
      if (session === undefined) return over(token)
      // A repeat and a reuse write no claims.
      if (gen >= session.generation) {
        const renewed = await renew(session, token, request)
        if (renewed instanceof Error) return renewed
        text = renewed
      }
    }
    const rotation = { sid, generation: gen, signer: refreshTokens.signer, text, idleLifetime, gracePeriod }
    const outcome = await ask((store, within) => store.rotate(tag, rotation, within))
    if (outcome.outcome === 'unknown') return over(token)
    return outcome.outcome === 'reused' ? await reused(outcome, token, request) : outcome
  }

  // The token's exp is its session's end, rounded up to a second: in that last second the store knows better.
  function over ({ exp }: RefreshToken): Error {
    const expired = (exp - 1) * 1000 < now()
    return refuse(expired ? RefreshTokenExpiredError : RefreshTokenInvalidError, 'its session is over')
  }

  async function renew (record: SessionRecord, { tag }: RefreshToken, request: FastifyRequest): Promise<string | Error> {
    const claims = await callHook(async () => await settings.claims?.(toSession(record), request))
    if (claims === null) {
      const ended = await ask((store, within) => store.end(tag, record.sid, within))
      if (ended !== undefined) announceEnd(context, 'deny', ended)
      await durability.confirm(tag, [record])
      return refuse(SessionRevokedError, 'the claims hook denied the refresh')
    }
    const { extra } = readClaims(claims, invalidClaims)
    const content = { ...contentOf(record), extra }
    const text = toText(content)
    checkSize(context, content, text, invalidClaims)
    return text
  }

  async function reused ({ session, distance, msSinceRotation }: Judged, { tag }: RefreshToken, request: FastifyRequest): Promise<Error> {
    const { sid, generation } = session
    announceEnd(context, 'reuse', session, { distance, msSinceRotation })
    request.log.warn({ sid, generation, distance, msSinceRotation }, 'a spent refresh token came back: its session is ended')
    const reuse = { sid, sub: contentOf(session).sub, generation, distance, msSinceRotation }
    // Called at once, not waited for: whatever becomes of it, the verdict stands.
    Promise.resolve().then(async () => await settings.onReuse?.(reuse, request)).catch((error: unknown) => {
      request.log.error({ err: error, sid }, 'the onReuse hook failed')
    })
    await durability.confirm(tag, [session])
    return refuse(RefreshTokenReusedError, `${distance} generations old`)
  }
}
