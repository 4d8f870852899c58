import { ProofUnavailableError, RefreshTokenUnprovenError, refuse, type Refusal } from '../errors'
import type { Credentials } from '../http/credentials'
import { aboutSession } from '../session/endings'
import type { Services } from '../services'
import type { Verdict } from '../store/store'
import type { RefreshToken } from '../tokens/refresh-token'

/** A refusal that a browser overcomes by itself, if it repeats the request with a proof. */
export interface ProofWanted extends Refusal {
  readonly proofWanted: true
}

/** Returns whether the browser is to repeat its request with a proof. */
export const isProofWanted = (error: unknown): error is ProofWanted =>
  (error as Partial<ProofWanted>).proofWanted === true

const retryAfter = '5'

/** Returns the key that a request has proven for a refresh token; `undefined`: none. */
export function provenKey (
  { deviceBinding, store }: Services,
  { sid, generation, boundTo }: RefreshToken,
  { proofs }: Credentials
): string | undefined {
  if (deviceBinding === undefined || proofs.length === 0) return undefined
  const keys = deviceBinding.proofs.keysOf(proofs, sid, generation, store.now())
  return boundTo !== undefined && keys.includes(boundTo) ? boundTo : keys[0]
}

/**
 * The session is bound, and the request shows no proof by its key: nothing has changed. A browser
 * repeats a refresh with a proof, once, unless it says that it cannot prove its key just now.
 * Without `credentials` it is no refresh.
 */
export function refuseUnproven (
  { deviceBinding, emit }: Services,
  { session, distance }: Pick<Verdict, 'session' | 'distance'>,
  credentials?: Credentials
): Refusal {
  const byBrowser = deviceBinding !== undefined && credentials?.transport === 'cookie'
  const isSkipped = byBrowser && credentials.isProofSkipped
  const redirected = byBrowser && !isSkipped && !credentials.isSecondTry
  emit('unproven', { ...aboutSession(session), distance, redirected })
  if (isSkipped) {
    const reason = 'its session is bound, and the browser cannot prove its key just now'
    return refuse(ProofUnavailableError, reason, { 'retry-after': retryAfter })
  }
  const reason = 'its session is bound, and the proof is missing or by another key'
  const refusal = refuse(RefreshTokenUnprovenError, reason)
  return redirected ? Object.assign(refusal, { proofWanted: true as const }) : refusal
}
