import type { FastifyRequest } from 'fastify'
import {
  RefreshTokenExpiredError, RefreshTokenInvalidError, RefreshTokenReusedError, RefreshTokenUnprovenError, refuse,
  type Refusal
} from '../errors'
import { readContent, userTagOf } from '../session/content'
import { aboutSession } from '../session/endings'
import type { Services } from '../services'
import type { Presentation, SessionRecord, Verdict } from '../store/store'
import type { RefreshToken } from '../tokens/refresh-token'

/** Returns what the store is told of a refresh token, to judge it. */
export function presentationOf ({ settings }: Services, token: RefreshToken): Presentation {
  const { sid, generation, handedOutAt, boundTo } = token
  const { gracePeriod, spentOn } = settings.refreshToken
  return { sid, generation, handedOutAt, spentOn, gracePeriod, boundTo, proof: undefined }
}

/** Returns whether a record is of the user whom the token's sealed tag names: another one was not put there by the plugin. */
export const isOfUser = (record: SessionRecord, { userTag }: RefreshToken): boolean =>
  userTagOf(readContent(record).sub) === userTag

/** The session of a refresh token has ended, or is of another user. */
export function refuseUnknown ({ store }: Services, { exp }: RefreshToken): Refusal {
  // exp is the session's end, rounded up to a second: in that last second the store knows better.
  const expired = (exp - 1) * 1000 < store.now()
  return refuse(expired ? RefreshTokenExpiredError : RefreshTokenInvalidError, 'its session is over')
}

/** The session is bound, and the request shows no proof by its key: nothing has changed. */
export function refuseUnproven (
  { emit }: Services, { session, distance }: Pick<Verdict, 'session' | 'distance'>
): Refusal {
  emit('unproven', { ...aboutSession(session), distance })
  return refuse(RefreshTokenUnprovenError, 'its session is bound, and the proof is missing or by another key')
}

/** Concludes a reuse that the store has found: the session has ended. @see RFC 9700 §4.14.2 */
export async function concludeReuse (
  { settings, endings }: Services, verdict: Verdict, { userTag }: RefreshToken, request: FastifyRequest
): Promise<Refusal> {
  const { session, distance, msSinceRotation } = verdict
  const { sid, generation } = session
  const details = { distance, msSinceRotation }
  request.log.warn({ sid, generation, ...details }, 'refresh token reuse: a spent one came back, its session is ended')
  const reuse = { sid, sub: readContent(session).sub, generation, ...details, prefix: settings.path }
  // Called at once, not waited for: whatever becomes of it, the verdict stands.
  Promise.resolve().then(async () => await settings.onReuse?.(reuse, request)).catch((error: unknown) => {
    request.log.error({ err: error, sid }, 'the onReuse hook failed')
  })
  await endings.conclude([{ event: 'reuse', userTag, sid, record: session, details }])
  return refuse(RefreshTokenReusedError, `${distance} generations old`)
}
