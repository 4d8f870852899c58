import type { FastifyReply } from 'fastify'
import {
  AccessTokenExpiredError,
  AccessTokenInvalidError,
  AccessTokenMissingError,
  ReauthenticationRequiredError,
  SessionRevokedError,
  SessionUnboundError,
  refuse,
  type Refusal
} from '../errors'
import { asHeadersLeave } from './as-headers-leave'

const challenge = (error: string, description: string): Record<string, string> =>
  ({ 'www-authenticate': `Bearer error="${error}", error_description="${description}"` })

/** The request has no access token. @see RFC 6750 §3 */
export const missingAccessToken = (reason: string): Refusal =>
  refuse(AccessTokenMissingError, reason, { 'www-authenticate': 'Bearer' })

/** The time of the access token is over. @see RFC 6750 §3.1 */
export const expiredAccessToken = (): Refusal =>
  refuse(
    AccessTokenExpiredError,
    'its exp has passed',
    challenge('invalid_token', 'The access token expired')
  )

/** Anything else that is wrong with an access token. @see RFC 6750 §3.1 */
export const invalidAccessToken = (reason: string): Refusal =>
  refuse(AccessTokenInvalidError, reason, challenge('invalid_token', 'The access token is invalid'))

/** The session behind a good token has ended. @see RFC 6750 §3.1 */
export const revokedSession = (reason: string): Refusal =>
  refuse(SessionRevokedError, reason, challenge('invalid_token', 'The session is over'))

/** The session is not bound to a device, and the route demands it. @see RFC 9470 §3 */
export const unboundSession = (): Refusal =>
  refuse(
    SessionUnboundError,
    'its session is not bound',
    challenge(
      'insufficient_user_authentication',
      'A session that is bound to its device is required'
    )
  )

/** The login is older than the route allows. `maxAge` in ms. @see RFC 9470 §3 */
export function reauthenticationRequired (maxAge: number): Refusal {
  const error = challenge('insufficient_user_authentication', 'A more recent login is required')
  return refuse(ReauthenticationRequiredError, 'the login is too old', {
    'www-authenticate': `${error['www-authenticate']}, max_age=${Math.floor(maxAge / 1000)}`
  })
}

/**
 * A refusal of a refresh token at a guard, which owes a challenge. Anything else is returned as it
 * is.
 * @see RFC 6750 §3
 */
export function challengeRefusal (refusal: Refusal): Refusal {
  const { statusCode, message, headers } = refusal
  return statusCode === 401
    ? Object.assign(refusal, { headers: { ...challenge('invalid_token', message), ...headers } })
    : refusal
}

/**
 * Sees to it that the headers of a refusal reach the client, whatever error handler writes the
 * answer. They are added as the headers leave, and only to an answer of that status: a request that
 * is let in after all, by another strategy, has none.
 */
export function carryHeaders (raw: FastifyReply['raw'], { headers, statusCode }: Refusal): void {
  if (headers === undefined) return
  asHeadersLeave(raw, (status, given) => {
    if (status !== statusCode) return given
    for (const [name, value] of Object.entries(headers)) {
      if ((given as Record<string, unknown> | undefined)?.[name] === undefined) {
        raw.setHeader(name, value)
      }
    }
    return given
  })
}
