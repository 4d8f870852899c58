import type { FastifyRequest } from 'fastify'
import type { ProofStatus } from '../binding/dpop/refusal'
import { StoreUnavailableError, type AuthError, type Refusal } from '../errors'
import type { Credentials } from '../http/credentials'
import { readContent, type Content } from '../session/content'
import type { Over } from '../session/endings'
import type { Services } from '../services'
import type { Outcome } from '../store/store'
import type { RefreshToken } from '../tokens/refresh-token'
import { issue, type Issued } from './issue'
import { isOfUser, presentationOf, refuseReuse, refuseUnknown } from './presentation'
import { findCandidates } from './refresh-candidates'
import { createRotate } from './rotate'
import { refuseUnproven } from './unproven'

/** A refresh token that was let in. */
type Accepted = Extract<Outcome, { outcome: 'rotated' | 'offered' | 'repeated' }>

/** What a refresh came to. */
export interface Refreshed {
  readonly issued: Issued
  /** Whether the session moved on: neither a repeat nor an offer. */
  readonly rotated: boolean
}

/** What `createRefresh` creates. */
export type Refresh = ReturnType<typeof createRefresh>

/**
 * Creates what a refresh does: `POST {prefix}/refresh`, by whichever way.
 * @see RFC 6749 §6, RFC 9700 §4.14.2
 */
export function createRefresh (services: Services) {
  const { watch, endings, emit } = services
  const { spentOn } = services.settings.refreshToken
  const rotate = createRotate(services)

  /**
   * Refreshes the first session that a token of the request is good for.
   * @param atGuard the origin of the page that asks is judged, and a lacking proof is a 401
   * @throws what none at all is refused for
   */
  return async function refresh (
    credentials: Credentials, request: FastifyRequest, atGuard = false
  ): Promise<Refreshed> {
    const over = endings.gather()
    try {
      return await refreshFirst(credentials, request, atGuard, over)
    } finally {
      await over.confirm()
    }
  }

  // The sessions that end by it join `over`.
  async function refreshFirst (
    credentials: Credentials, request: FastifyRequest, atGuard: boolean, over: Over
  ): Promise<Refreshed> {
    let refusal: Refusal | undefined
    let accident: AuthError | undefined
    for (const token of findCandidates(services, credentials, request, atGuard)) {
      try {
        const verdict = await present(token, credentials, request, atGuard ? 401 : 400, over)
        if (!(verdict instanceof Error)) return verdict
        // Another session's cookie, left over from an earlier login or planted, must not lock the
        // living one out: what the client overcomes by another proof is said before an end.
        if (refusal === undefined || isOvercome(verdict)) refusal = verdict
      } catch (error) {
        if (error instanceof StoreUnavailableError) throw error
        accident ??= error as AuthError
      }
    }
    throw accident ?? refusal
  }

  // What the token is refused for is returned; only accidents are thrown.
  async function present (
    token: RefreshToken, credentials: Credentials, request: FastifyRequest, status: ProofStatus,
    over: Over
  ): Promise<Refreshed | Refusal> {
    // A cookie that outlives its session would ask the store with every request.
    if (watch.isKnownToHaveEnded(token.sid)) return refuseUnknown(services, token)
    const presentation = presentationOf(services, token, credentials, request, status)
    if (presentation instanceof Error) return presentation
    const outcome = await rotate(token, presentation, credentials, request, over)
    if (outcome instanceof Error) return outcome
    if (outcome.outcome === 'unknown') {
      watch.ended(token.sid)
      return refuseUnknown(services, token)
    }
    const content = readContent(outcome.session)
    if (!isOfUser(content, token)) {
      request.log.warn({ sid: token.sid },
        'a session in the store is of another user than its refresh token')
      return refuseUnknown(services, token)
    }
    if (outcome.outcome === 'unproven') return refuseUnproven(services, outcome, credentials)
    if (outcome.outcome === 'reused') return refuseReuse(services, outcome, token, request, over)
    return accept(outcome, content, token)
  }

  function accept (accepted: Accepted, content: Content, token: RefreshToken): Refreshed {
    const { session, outcome, distance, msSinceRotation, streak, next } = accepted
    const { sid, generation } = session
    const event = { sid, sub: content.sub, generation, msSinceRotation }
    if (outcome === 'repeated') {
      emit('repeat', { ...event, distance, streak })
    } else {
      // With 'use', the token that is next is one ahead of the session.
      if (distance > (spentOn === 'use' ? 1 : 0)) emit('heal', { ...event, distance })
      emit('refresh', event)
    }
    const issued = issue(services, session, content, token, next)
    return { issued, rotated: outcome === 'rotated' }
  }
}

const isOvercome = ({ code }: Refusal): boolean => code.startsWith('DPOP_')
