import createError = require('@fastify/error')

type Constructor = createError.FastifyErrorConstructor<
  { code: string, statusCode: number },
  [string?]
>

// Refusals are answers, not accidents: no stack is captured for them, so that forged tokens cost
// little.
const refusal = (code: string, message: string, status = 401): Constructor =>
  createError(code, message, status, Error, false)

/** A wrong option, an unknown one, or no store: the application's mistake. */
export const InvalidOptionError: Constructor = createError('INVALID_OPTION', '%s', 500)
/** Wrong arguments of `reply.login`: the application's mistake. */
export const InvalidLoginError: Constructor = createError('INVALID_LOGIN', '%s', 500)
/** What the `claims` hook returned cannot be claims: the application's mistake. */
export const InvalidClaimsError: Constructor = createError('INVALID_CLAIMS', '%s', 500)

/**
 * The imported `authenticate` hook found no registration of the plugin in the scope of its route.
 */
export const NotRegisteredError: Constructor = createError(
  'NOT_REGISTERED',
  'fastify-jwt-sessions is not registered in the scope of this route: await its registration first',
  500
)

/** The request brings no access token. @see RFC 6750 §3 */
export const AccessTokenMissingError = refusal(
  'ACCESS_TOKEN_MISSING',
  'An access token is required'
)
/** The access token's time is over: the client's cue to refresh. @see RFC 6750 §3.1 */
export const AccessTokenExpiredError = refusal('ACCESS_TOKEN_EXPIRED', 'The access token expired')
/** Anything else that is wrong with an access token. @see RFC 6750 §3.1 */
export const AccessTokenInvalidError = refusal(
  'ACCESS_TOKEN_INVALID',
  'The access token is invalid'
)
/** The session behind a good token is over. */
export const SessionRevokedError = refusal('SESSION_REVOKED', 'The session is over')
/** The login is older than the route allows. @see RFC 9470 §3 */
export const ReauthenticationRequiredError = refusal(
  'REAUTHENTICATION_REQUIRED',
  'A more recent login is required'
)
/** Neither the cookie nor the body brings a refresh token. */
export const RefreshTokenMissingError = refusal(
  'REFRESH_TOKEN_MISSING',
  'A refresh token is required'
)
/** The refresh token's own `exp` has passed. */
export const RefreshTokenExpiredError = refusal(
  'REFRESH_TOKEN_EXPIRED',
  'The refresh token expired'
)
/** Malformed, forged, of another key or transport, or of a session that is over. */
export const RefreshTokenInvalidError = refusal(
  'REFRESH_TOKEN_INVALID',
  'The refresh token is invalid'
)
/** A spent refresh token came back; its session is over. @see RFC 9700 §4.14.2 */
export const RefreshTokenReusedError = refusal(
  'REFRESH_TOKEN_REUSED',
  'The refresh token was used before; the session is over'
)
/** The session is bound, and the request shows no proof by its key; nothing changes. */
export const RefreshTokenUnprovenError: Constructor =
  refusal('REFRESH_TOKEN_UNPROVEN', 'A proof by the key of this session is required', 401)
/** The session is bound, and the browser says that it cannot prove its key just now. */
export const ProofUnavailableError: Constructor =
  refusal('PROOF_UNAVAILABLE', 'This device cannot prove its key for the moment, try again', 503)
/** The access token is good, but its session is not bound, which the route demands. */
export const SessionUnboundError: Constructor =
  refusal('SESSION_UNBOUND', 'A session that is bound to its device is required', 401)
/** A proof is required, and the request brings none; 401 at the guard. @see RFC 9449 §5 */
export const DpopProofMissingError: Constructor =
  refusal('DPOP_PROOF_MISSING', 'A DPoP proof is required', 400)
/**
 * Anything that is wrong with a proof, except that it is not fresh; 401 at the guard.
 * @see RFC 9449 §4.3
 */
export const DpopProofInvalidError: Constructor =
  refusal('DPOP_PROOF_INVALID', 'The DPoP proof is invalid', 400)
/**
 * The proof is not fresh: it must be repeated with the nonce of this answer; 401 at the guard.
 * @see RFC 9449 §8
 */
export const DpopNonceRequiredError: Constructor =
  refusal('DPOP_NONCE_REQUIRED', 'The DPoP proof must carry the nonce of this answer', 400)
/** A page of a foreign origin called one of the two routes. */
export const CrossOriginRequestError = refusal(
  'CROSS_ORIGIN_REQUEST',
  'Requests from this origin are not allowed',
  403
)
/**
 * Sessions are ended, but not all the replicas that `durability` names have confirmed it in time;
 * asking again asks them again.
 */
export const EndingUnconfirmedError = refusal(
  'ENDING_UNCONFIRMED',
  'The sessions are ended, but replicas have yet to confirm it: try again',
  503
)
/** The store did not answer in time, or answered an error. */
export const StoreUnavailableError = refusal(
  'STORE_UNAVAILABLE',
  'Sessions are unavailable for the moment, try again',
  503
)

/** An error of the plugin, as `setErrorHandler` receives it. */
export interface AuthError extends Error {
  /** One of the codes in the README. */
  code: string
  /** The HTTP status. */
  statusCode: number
  /** Why exactly: for the log, never for the client. */
  reason?: string
  /** Headers of the answer; they reach the client whatever error handler there is. */
  headers?: Record<string, string>
}

/** A refusal: the client's request is answered with it. */
export interface Refusal extends AuthError {
  reason: string
}

/** Creates a refusal whose exact `reason` goes to the log, and never to the client. */
export function refuse (
  Refused: Constructor, reason: string, headers?: Record<string, string>
): Refusal {
  return Object.assign(
    new Refused(),
    headers === undefined ? { reason } : { reason, headers }
  ) as Refusal
}
