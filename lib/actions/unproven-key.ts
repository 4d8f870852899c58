import type { FastifyRequest } from 'fastify'
import { unprovenToken, type ProofStatus } from '../binding/dpop/refusal'
import type { Refusal } from '../errors'
import { isDpop, type Credentials } from '../http/credentials'
import type { Services } from '../services'
import type { RefreshToken } from '../tokens/refresh-token'

/**
 * Returns why a request does not prove the DPoP key of a refresh token; `undefined` if it does, or
 * if the token has none. The store is not asked, and nothing changes.
 * @param status of a refusal that the client overcomes by another proof
 * @see RFC 9449 §5
 */
export function refuseUnprovenKey (
  { dpop, emit, settings }: Services,
  { jkt, sid, generation }: RefreshToken,
  { accessToken, transport }: Credentials,
  request: FastifyRequest,
  status: ProofStatus
): Refusal | undefined {
  if (jkt === undefined) return undefined
  const { paired } = settings.refreshToken
  const demand = {
    status,
    // A script that reads a body's token can make proofs for months ahead; a nonce spoils them.
    nonce: transport === 'body',
    accessToken: paired && isDpop(request.headers.authorization) ? accessToken : undefined
  }
  let refusal
  try {
    if (dpop.read(request, demand).jkt === jkt) return undefined
    refusal = unprovenToken('its session is bound, and the proof is by another key')
  } catch (error) {
    refusal = error as Refusal
    if (refusal.code !== 'DPOP_PROOF_MISSING') return refusal
  }
  emit('unproven', { sid, generation, redirected: false })
  return refusal
}
