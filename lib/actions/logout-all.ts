import type { FastifyRequest } from 'fastify'
import { challengeByDpop, unprovenToken } from '../binding/dpop/refusal'
import { RefreshTokenMissingError, refuse, type Refusal } from '../errors'
import { revokedSession } from '../http/challenge'
import { isDpop, type Credentials } from '../http/credentials'
import { userTagOf } from '../session/content'
import type { Ending, Over } from '../session/endings'
import type { Services } from '../services'
import type { SessionRecord } from '../store/store'
import type { Caller } from './caller'
import { namedByAccessToken } from './named-by-access-token'
import { presentationOf, refuseReuse, refuseUnknown } from './presentation'
import { findCandidates } from './refresh-candidates'
import { refuseUnproven } from './unproven'
import { createVerifyLiving } from './verify-living'

/** Creates what ends all sessions of the users that a request names. */
export function createLogoutAll (services: Services) {
  const { accessTokens, settings, store } = services
  const verifyLiving = createVerifyLiving(services)

  return endAll

  // Every token that is good at this moment ends the sessions of its user, which join `over`. One
  // that is not is refused as a refresh, or the guard, would refuse it, unless another is good.
  async function endAll (
    credentials: Credentials, request: FastifyRequest, caller: Caller | undefined, over: Over
  ): Promise<void> {
    if (caller !== undefined) {
      over.add(await endAllOf(userTagOf(caller.sub), caller.sid))
      return
    }
    const byRefresh = await endAllByRefreshToken(credentials, request, over)
    if (settings.refreshToken.paired) {
      if (byRefresh !== undefined) throw byRefresh
      return
    }
    const byAccess = await endAllByAccessToken(credentials, request, over)
    if (byAccess === undefined || byRefresh === undefined) return
    const { accessToken, accessCookies, refreshTokens } = credentials
    const hasAccess = accessToken !== undefined || accessCookies.length > 0
    throw refreshTokens.length === 0 && hasAccess ? byAccess : byRefresh
  }

  async function endAllByRefreshToken (
    credentials: Credentials, request: FastifyRequest, over: Over
  ): Promise<Refusal | undefined> {
    let refusal: Refusal = refuse(RefreshTokenMissingError, 'no refresh token')
    try {
      if (settings.refreshToken.paired && credentials.accessToken !== undefined) {
        await verifyLiving(credentials.accessToken, proverOf(request))
      }
      for (const token of findCandidates(services, credentials, request)) {
        const { userTag, sid } = token
        const witness = presentationOf(services, token, credentials, request)
        if (witness instanceof Error) {
          refusal = witness.code === 'DPOP_PROOF_MISSING' ? unproven() : witness
          continue
        }
        const outcome = await store.endAll(userTag, { witness })
        if (outcome.outcome === 'done') {
          over.add(toEndings(outcome.ended, userTag, sid))
          return undefined
        }
        if (outcome.outcome === 'reused') {
          throw refuseReuse(services, outcome, token, request, over)
        }
        refusal = outcome.outcome === 'unproven'
          ? refuseUnproven(services, outcome)
          : refuseUnknown(services, token)
      }
    } catch (error) {
      const { code, statusCode } = error as Refusal
      if (statusCode !== 401 || code === 'REFRESH_TOKEN_REUSED') throw error
      refusal = error as Refusal
    }
    return refusal
  }

  async function endAllByAccessToken (
    credentials: Credentials, request: FastifyRequest, over: Over
  ): Promise<Refusal | undefined> {
    const prover = proverOf(request)
    try {
      const [newest] = namedByAccessToken(accessTokens, credentials)
      const { sub, sid } = await verifyLiving(newest?.text ?? '', prover)
      const userTag = userTagOf(sub)
      if (!over.includes(userTag)) over.add(await endAllOf(userTag, sid, sid))
      return undefined
    } catch (error) {
      const refusal = error as Refusal
      if (refusal.statusCode !== 401) throw error
      return prover === undefined ? refusal : challengeByDpop(refusal)
    }
  }

  async function endAllOf (userTag: string, own: string, sid?: string): Promise<Ending[]> {
    const witness = sid === undefined ? undefined : { sid }
    const outcome = await store.endAll(userTag, { witness })
    if (outcome.outcome !== 'done') throw revokedSession('its session is over')
    return toEndings(outcome.ended, userTag, own)
  }
}

// It is no refresh: a client need not come again with a proof.
const unproven = (): Refusal =>
  unprovenToken('its session is bound, and ends those of its user by a proof only')

// A request that presents its access token as DPoP must prove the token's key.
const proverOf = (request: FastifyRequest): FastifyRequest | undefined =>
  isDpop(request.headers.authorization) ? request : undefined

// The session that asks logs out, and revokes the others. One that had ended before is confirmed
// all the same.
function toEndings (ended: SessionRecord[], userTag: string, own: string): Ending[] {
  if (ended.length === 0) return [{ event: 'logout', userTag, sid: own, record: undefined }]
  return ended.map((record) => {
    const { sid } = record
    return { event: sid === own ? 'logout' : 'revoke', userTag, sid, record }
  })
}
