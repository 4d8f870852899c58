import type { FastifyReply, FastifyRequest } from 'fastify'
import { invalidAccessToken, readBearer } from './access-token'
import { callHook, readClaims } from './claims'
import type { Context } from './context'
import { checkOrigin } from './cross-origin'
import { announceEnd } from './end'
import { InvalidClaimsError, RefreshTokenExpiredError, RefreshTokenInvalidError, RefreshTokenMissingError, RefreshTokenReusedError, SessionRevokedError, refuse } from './errors'
import { emit } from './events'
import { issue, type TokenResponse } from './issue'
import { checkSize } from './login'
import type { RefreshToken } from './refresh-token'
import { contentOf, toSession, toText } from './session'
import type { Outcome, SessionRecord } from './store/store'
import { presented } from './transport'

type Judged = Exclude<Outcome, { outcome: 'unknown' }>

const invalidClaims = (sentence: string) => new InvalidClaimsError(`the claims hook: ${sentence}`)

/** Makes what `POST {prefix}/refresh` does. @see RFC 6749 §6, RFC 9700 §4.14.2 */
export function createRefresh (context: Context) {
  const { settings, refreshTokens, ask, durability, accessTokens, now } = context

  return async function refresh (request: FastifyRequest, reply: FastifyReply): Promise<TokenResponse> {
    let refusal: Error | undefined
    for (const token of findCandidates(request)) {
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

  // One for each session that an authentic and living token names, the one with the most life left first.
  function findCandidates (request: FastifyRequest): RefreshToken[] {
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
    return settings.refreshToken.paired ? pair(candidates, request) : candidates
  }

  function pair (candidates: RefreshToken[], request: FastifyRequest): RefreshToken[] {
    const claims = accessTokens.recognise(readBearer(request.headers.authorization))
    const paired = candidates.filter(({ sid }) => sid === claims?.sid)
    if (paired.length === 0) throw invalidAccessToken('not an access token of the same session')
    return paired
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
    const text = toText({ ...contentOf(record), extra })
    checkSize(context, text, invalidClaims)
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
