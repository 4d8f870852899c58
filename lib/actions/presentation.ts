import type { FastifyRequest } from 'fastify'
import type { ProofStatus } from '../binding/dpop/refusal'
import {
  RefreshTokenExpiredError, RefreshTokenInvalidError, RefreshTokenReusedError, refuse, type Refusal
} from '../errors'
import type { Credentials } from '../http/credentials'
import { readContent, userTagOf, type Content } from '../session/content'
import type { Over } from '../session/endings'
import type { Services } from '../services'
import type { Presentation, Verdict } from '../store/store'
import type { RefreshToken } from '../tokens/refresh-token'
import { provenKey } from './unproven'
import { refuseUnprovenKey } from './unproven-key'

/**
 * Returns what the store is told of a refresh token, to judge it; or, if it is bound by DPoP, why
 * the request does not prove its key. This is the one place that asks which key a request has
 * shown.
 */
export function presentationOf (
  services: Services,
  token: RefreshToken,
  credentials: Credentials,
  request: FastifyRequest,
  status: ProofStatus = 400
): Presentation | Refusal {
  const unproven = refuseUnprovenKey(services, token, credentials, request, status)
  if (unproven !== undefined) return unproven
  const { sid, generation, handedOutAt, boundTo } = token
  const { gracePeriod, spentOn } = services.settings.refreshToken
  const proof = provenKey(services, token, credentials)
  return { sid, generation, handedOutAt, spentOn, gracePeriod, boundTo, proof }
}

/**
 * Returns whether a session is of the user whom the token's sealed tag names: another one was not
 * put there by the plugin.
 */
export const isOfUser = ({ sub }: Content, { userTag }: RefreshToken): boolean =>
  userTagOf(sub) === userTag

/** The session of a refresh token has ended, or is of another user. */
export function refuseUnknown ({ store }: Services, { exp }: RefreshToken): Refusal {
  // exp is the session's end, rounded up to a second: in that last second the store knows better.
  const expired = (exp - 1) * 1000 < store.now()
  const Refused = expired ? RefreshTokenExpiredError : RefreshTokenInvalidError
  return refuse(Refused, 'its session is over')
}

/**
 * Returns the refusal of a reuse that the store has found: the session has ended, and joins `over`.
 * @see RFC 9700 §4.14.2
 */
export function refuseReuse (
  { settings }: Services,
  verdict: Verdict,
  { userTag }: RefreshToken,
  request: FastifyRequest,
  over: Over
): Refusal {
  const { session, distance, msSinceRotation } = verdict
  const { sid, generation } = session
  const details = { distance, msSinceRotation }
  request.log.warn({ sid, generation, ...details },
    'refresh token reuse: a spent one came back, its session is ended')
  const { sub } = readContent(session)
  const reuse = { sid, sub, generation, ...details, prefix: settings.path }
  // Called at once, not waited for: whatever becomes of it, the verdict stands.
  const told = Promise.resolve().then(async () => await settings.onReuse?.(reuse, request))
  told.catch((error: unknown) => {
    request.log.error({ err: error, sid }, 'the onReuse hook failed')
  })
  over.add([{ event: 'reuse', userTag, sid, record: session, details }])
  return refuse(RefreshTokenReusedError, `${distance} generations old`)
}
