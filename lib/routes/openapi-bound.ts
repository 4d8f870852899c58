import * as errors from '../errors'
import type { Settings } from '../settings'
import { describeOAuthErrors, describeRefusals } from './openapi-refusals'

type Schema = Record<string, unknown>

const dpop = [
  errors.DpopProofMissingError, errors.DpopProofInvalidError, errors.DpopNonceRequiredError
]

/** Describes the header of a proof, on the routes that take one. @see RFC 9449 §4.1 */
export function describeProofHeader ({ refreshToken: { bindings } }: Settings): Schema {
  if (!bindings.includes('dpop')) return {}
  const description = 'In a session that is bound by DPoP: a proof for this request'
  return { headers: { type: 'object', properties: { DPoP: { type: 'string', description } } } }
}

/** Describes how a bound access token is presented; nothing if none is. @see RFC 9449 §7.1 */
export const describeBoundScheme = ({ accessToken }: Settings): Schema =>
  accessToken.bound ? { boundAccessToken: { type: 'http', scheme: 'dpop' } } : {}

/** Returns what a refresh of a bound session is refused by, besides a proof that is no good. */
export function boundRefusals (
  { refreshToken: { bindings } }: Settings
): Array<typeof errors.StoreUnavailableError> {
  return [
    ...(bindings.length > 0 ? [errors.RefreshTokenUnprovenError] : []),
    ...(bindings.includes('dbsc') ? [errors.ProofUnavailableError] : [])
  ]
}

/** Describes the 400 of a refresh: what is wrong with a proof, and the verdict on a form. */
export function describeBadRefresh ({ refreshToken: { bindings, transports } }: Settings): Schema {
  const forms = transports.includes('body') ? [describeOAuthErrors()] : []
  const proofs = bindings.includes('dpop')
    ? Object.values(describeRefusals(dpop)) as Schema[]
    : []
  const all = [...proofs, ...forms]
  if (all.length < 2) return all[0] === undefined ? {} : { 400: all[0] }
  return { 400: { description: all.map(({ description }) => description).join('; '), oneOf: all } }
}
