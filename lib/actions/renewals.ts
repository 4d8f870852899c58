import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'
import { challengeRefusal } from '../http/challenge'
import type { Credentials } from '../http/credentials'
import { hasBegun } from '../http/has-begun'
import { sendLate } from '../http/late-cookies'
import type { Services } from '../services'
import type { Refresh } from './refresh'
import { tokenCookies } from './token-cookies'

/** What a guard uses of a reply, if it has one. */
export type Answer = Pick<FastifyReply, 'raw'>

/** Renews the tokens of requests whose access cookie has run out. */
export interface Renewals {
  /**
   * Resolves with a new access token; both cookies go with the headers of the answer. Once for each
   * request: whoever asks again is given the same.
   * @throws what the refresh is refused for, with a challenge; then no cookie is touched
   */
  renew: (
    request: FastifyRequest, answer: Answer | undefined, credentials: Credentials
  ) => Promise<string>
  /**
   * Returns whether a request is renewed no more: it was let in by its access cookie, and its
   * answer has begun. Its refresh cookie may be hours old by now: presented again, after its
   * browser has gone on, it would be reuse.
   */
  isTooLate: (request: FastifyRequest, answer: Answer | undefined) => boolean
  /** Keeps back the cookies of a request that logs in or out, renewed or yet to be. */
  drop: (request: FastifyRequest) => void
}

/** Creates what renews. With `spentOn: 'use'` nothing is lost with an answer that never arrives. */
export function createRenewals (services: Services, refresh: Refresh): Renewals {
  const { watch } = services
  const renewed = new WeakMap<FastifyRequest, Promise<string>>()
  const dropped = new WeakSet<FastifyRequest>()

  async function renew (
    request: FastifyRequest, answer: Answer | undefined, credentials: Credentials
  ): Promise<string> {
    const { issued } = await refresh(credentials, request, true).catch((error: Refusal) => {
      throw challengeRefusal(error)
    })
    const cookies = tokenCookies(services, issued)
    // A session that has ended meanwhile must not come back by an answer that is late.
    const isWanted = (): boolean => !dropped.has(request) && !watch.isKnownToHaveEnded(issued.sid)
    if (answer !== undefined) sendLate(answer.raw, { cookies, isWanted })
    return issued.accessToken
  }

  return {
    renew: (request, answer, credentials) => {
      const known = renewed.get(request)
      if (known !== undefined) return known
      const renewal = renew(request, answer, credentials)
      renewed.set(request, renewal)
      return renewal
    },
    isTooLate: (request, answer) => hasBegun(request, answer) && !renewed.has(request),
    drop: (request) => { dropped.add(request) }
  }
}
