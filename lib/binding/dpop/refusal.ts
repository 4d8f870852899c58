import {
  AccessTokenInvalidError, DpopNonceRequiredError, DpopProofInvalidError, DpopProofMissingError,
  RefreshTokenUnprovenError, refuse, type Refusal
} from '../../errors'

/** The status of a refusal: 400 at login and refresh, 401 at the guard. @see RFC 9449 §5, §7.1 */
export type ProofStatus = 400 | 401

/** Returns the one challenge of a refusal. @see RFC 9449 §7.1 */
export const dpopChallenge = (error: string, description: string): string =>
  `DPoP error="${error}", error_description="${description}", algs="ES256"`

function refuseProof (
  Refused: typeof DpopProofInvalidError, reason: string, status: ProofStatus, nonce?: string
): Refusal {
  const error = nonce === undefined ? 'invalid_dpop_proof' : 'use_dpop_nonce'
  const refusal = refuse(Refused, reason, {
    'www-authenticate': dpopChallenge(error, new Refused().message),
    ...(nonce === undefined ? {} : { 'dpop-nonce': nonce })
  })
  return Object.assign(refusal, { statusCode: status })
}

/** A proof is required, and the request has none. */
export const missingProof = (status: ProofStatus): Refusal =>
  refuseProof(DpopProofMissingError, 'no DPoP header', status)

/** Anything that is wrong with a proof, except that it is not fresh; `reason` is for the log. */
export const invalidProof = (reason: string, status: ProofStatus): Refusal =>
  refuseProof(DpopProofInvalidError, reason, status)

/** The proof is not fresh: it must be repeated with this nonce. @see RFC 9449 §8, §9 */
export const nonceRequired = (reason: string, status: ProofStatus, nonce: string): Refusal =>
  refuseProof(DpopNonceRequiredError, reason, status, nonce)

/** A refresh token without a proof by its own key: the session stays as it is. */
export function unprovenToken (reason: string): Refusal {
  const challenge = dpopChallenge('invalid_dpop_proof', new RefreshTokenUnprovenError().message)
  return refuse(RefreshTokenUnprovenError, reason, { 'www-authenticate': challenge })
}

/** An access token whose key is not proven, or one that has none and comes with a proof. */
export function unprovenAccessToken (reason: string): Refusal {
  const challenge = dpopChallenge('invalid_token', new AccessTokenInvalidError().message)
  return refuse(AccessTokenInvalidError, reason, { 'www-authenticate': challenge })
}

/**
 * Has a refusal of an access token that came as `DPoP` challenge by that scheme; one of a request
 * without a token names both.
 * @see RFC 9449 §7.1, §7.2
 */
export function challengeByDpop (refusal: Refusal): Refusal {
  const { 'www-authenticate': challenge, ...headers } = refusal.headers ?? {}
  if (challenge?.startsWith('Bearer') !== true) return refusal
  const byDpop = challenge === 'Bearer'
    ? 'Bearer, DPoP algs="ES256"'
    : `${challenge.replace('Bearer', 'DPoP')}, algs="ES256"`
  return Object.assign(refusal, { headers: { ...headers, 'www-authenticate': byDpop } })
}
