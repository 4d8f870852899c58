import type { FastifyRequest } from 'fastify'
import type { DeviceBinding } from '../binding/dbsc/binding'
import { readIdentifier } from '../binding/dbsc/session-identifier'
import { shortThumbprint } from '../binding/jwk'
import type { Credentials } from '../http/credentials'
import { isForeign } from '../http/cross-origin'
import type { Services } from '../services'
import { findAuthentic, newestOfEach } from './refresh-candidates'

/** What a browser's proof comes to. `proof` is the value of its cookie. */
export type Proving =
  | { readonly outcome: 'proven', readonly proof: string }
  /** It is to sign this challenge (`Secure-Session-Challenge`); the reason is for the log. */
  | { readonly outcome: 'challenged', readonly challenge: string, readonly reason: string }
  /** It has no refresh token of this session. */
  | { readonly outcome: 'over' }

/** Creates what verifies the proof of a device. The store is not asked. */
export function createProveDevice (services: Services, { protocol, proofs }: DeviceBinding) {
  const { store, isTrusted } = services

  /**
   * Verifies the proof that `response` (`Secure-Session-Response`) holds, for the session that the
   * browser calls `identifier` and for the generation of the refresh token that it has. Any other
   * answer than these would end the binding, so it throws nothing.
   */
  return function proveDevice (
    credentials: Credentials, request: FastifyRequest, identifier: string, response: unknown
  ): Proving {
    const now = store.now()
    const session = readIdentifier(identifier)
    const time = store.knownTime() ?? 0
    const [token] = newestOfEach(findAuthentic(services, credentials)
      .filter(({ sid, exp }) => sid === session?.sid && exp * 1000 > time))
    if (session === undefined || token === undefined) return { outcome: 'over' }
    const proven = isForeign(request, isTrusted)
      ? { reason: 'from a page of a foreign origin' }
      : protocol.prove(response, session, now)
    if ('reason' in proven) {
      const challenge = protocol.challenge(session, now)
      return { outcome: 'challenged', challenge, reason: proven.reason }
    }
    const { sid, generation } = token
    const key = shortThumbprint(session.jwk)
    return { outcome: 'proven', proof: proofs.sign({ sid, generation, key }, now) }
  }
}
