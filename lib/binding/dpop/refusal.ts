import {
  DpopNonceRequiredError, DpopProofInvalidError, DpopProofMissingError, refuse
} from '../../errors'

/** The status of a refusal: 400 at login and refresh, 401 at the guard. @see RFC 9449 §5, §7.1 */
export type ProofStatus = 400 | 401

/** Returns the one challenge of a refusal. @see RFC 9449 §7.1 */
export const dpopChallenge = (error: string, description: string): string =>
  `DPoP error="${error}", error_description="${description}", algs="ES256"`

function refuseProof (
  Refused: typeof DpopProofInvalidError, reason: string, status: ProofStatus, nonce?: string
): Error {
  const error = nonce === undefined ? 'invalid_dpop_proof' : 'use_dpop_nonce'
  const refusal = refuse(Refused, reason, {
    'www-authenticate': dpopChallenge(error, new Refused().message),
    ...(nonce === undefined ? {} : { 'dpop-nonce': nonce })
  })
  return Object.assign(refusal, { statusCode: status })
}

/** A proof is required, and the request has none. */
export const missingProof = (status: ProofStatus): Error =>
  refuseProof(DpopProofMissingError, 'no DPoP header', status)

/** Anything that is wrong with a proof, except that it is not fresh; `reason` is for the log. */
export const invalidProof = (reason: string, status: ProofStatus): Error =>
  refuseProof(DpopProofInvalidError, reason, status)

/** The proof is not fresh: it must be repeated with this nonce. @see RFC 9449 §8, §9 */
export const nonceRequired = (reason: string, status: ProofStatus, nonce: string): Error =>
  refuseProof(DpopNonceRequiredError, reason, status, nonce)
