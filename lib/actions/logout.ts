import type { FastifyRequest } from 'fastify'
import { RefreshTokenMissingError, refuse, type Refusal } from '../errors'
import { revokedSession } from '../http/challenge'
import type { Credentials } from '../http/credentials'
import { userTagOf } from '../session/content'
import type { Ending } from '../session/endings'
import type { Services } from '../services'
import type { SessionRecord } from '../store/store'
import { namedByAccessToken } from './named-by-access-token'
import { findAuthentic, findCandidates, newestOfEach } from './refresh-candidates'
import { concludeReuse, presentationOf, refuseUnknown } from './presentation'
import { refuseUnproven } from './unproven'
import { createVerifyLiving } from './verify-living'

/** What a logout may say. */
export interface LogoutOptions {
  /** Ends all sessions of the user, not this one alone. @default false */
  all?: boolean
}

interface Named {
  userTag: string
  sid: string
}

/** How many sessions one request may end by naming them. */
const most = 4

/** Creates what `reply.logout` and `POST {prefix}/logout` do; both resolve with whether the replicas have confirmed it. */
export function createLogout (services: Services) {
  const { accessTokens, endings, settings, store } = services
  const verifyLiving = createVerifyLiving(services)

  /** Ends the sessions that a request names, or all of their users'. @throws STORE_UNAVAILABLE, or why `all` is refused */
  return async function logout (
    credentials: Credentials, request: FastifyRequest, { all = false }: LogoutOptions = {}
  ): Promise<boolean> {
    return await endings.conclude(all ? await endAll(credentials, request) : await endNamed(credentials, request))
  }

  async function endNamed (credentials: Credentials, request: FastifyRequest): Promise<Ending[]> {
    const over: Ending[] = []
    for (const { userTag, sid } of nameSessions(credentials, request)) {
      over.push({ event: 'logout', userTag, sid, record: await store.end(userTag, sid) })
    }
    return over
  }

  function nameSessions (credentials: Credentials, request: FastifyRequest): Named[] {
    const newest = newestOfEach(findAuthentic(services, credentials)).sort((a, b) => b.exp - a.exp)
    const named = new Map<string, Named>(newest.slice(0, most).map((token) => [token.sid, token]))
    const byAccess = namedByAccessToken(accessTokens, credentials).slice(0, most).map(({ claims }) => claims)
    for (const { sid, sub } of request.sid !== null ? [callerOf(request)] : byAccess) {
      named.set(sid, { sid, userTag: userTagOf(sub) })
    }
    return [...named.values()]
  }

  // Every token that is good at this moment ends the sessions of its user. One that is not is refused as a refresh, or the
  // guard, would refuse it, unless another token is good.
  async function endAll (credentials: Credentials, request: FastifyRequest): Promise<Ending[]> {
    if (request.sid !== null) {
      const { sub, sid } = callerOf(request)
      return await endAllOf(userTagOf(sub), sid)
    }
    const byRefresh = await endAllByRefreshToken(credentials, request)
    if (settings.refreshToken.paired) {
      if (Array.isArray(byRefresh)) return byRefresh
      throw byRefresh
    }
    const over = Array.isArray(byRefresh) ? byRefresh : []
    const byAccess = await endAllByAccessToken(credentials, over)
    if (Array.isArray(byAccess)) return [...over, ...byAccess]
    if (Array.isArray(byRefresh)) return over
    const { accessToken, accessCookies, refreshTokens } = credentials
    const hasAccess = accessToken !== undefined || accessCookies.length > 0
    throw refreshTokens.length === 0 && hasAccess ? byAccess : byRefresh
  }

  async function endAllByRefreshToken (credentials: Credentials, request: FastifyRequest): Promise<Ending[] | Refusal> {
    let refusal: Refusal = refuse(RefreshTokenMissingError, 'no refresh token')
    try {
      if (settings.refreshToken.paired && credentials.accessToken !== undefined) {
        await verifyLiving(credentials.accessToken)
      }
      for (const token of findCandidates(services, credentials, request)) {
        const { userTag, sid } = token
        const outcome = await store.endAll(userTag, { witness: presentationOf(services, token, credentials) })
        if (outcome.outcome === 'done') {
          return toEndings(outcome.ended, userTag, sid)
        }
        if (outcome.outcome === 'reused') throw await concludeReuse(services, outcome, token, request)
        refusal = outcome.outcome === 'unproven'
          ? refuseUnproven(services, outcome)
          : refuseUnknown(services, token)
      }
    } catch (error) {
      if ((error as Refusal).statusCode !== 401 || (error as Refusal).code === 'REFRESH_TOKEN_REUSED') throw error
      refusal = error as Refusal
    }
    return refusal
  }

  async function endAllByAccessToken (credentials: Credentials, over: Ending[]): Promise<Ending[] | Refusal> {
    try {
      const [newest] = namedByAccessToken(accessTokens, credentials)
      const { sub, sid } = await verifyLiving(newest?.text ?? '')
      const userTag = userTagOf(sub)
      if (over.some((ending) => ending.userTag === userTag)) return []
      return await endAllOf(userTag, sid, sid)
    } catch (error) {
      if ((error as Refusal).statusCode !== 401) throw error
      return error as Refusal
    }
  }

  async function endAllOf (userTag: string, own: string, witness?: string): Promise<Ending[]> {
    const outcome = await store.endAll(userTag, { witness: witness === undefined ? undefined : { sid: witness } })
    if (outcome.outcome !== 'done') throw revokedSession('its session is over')
    return toEndings(outcome.ended, userTag, own)
  }
}

const callerOf = (request: FastifyRequest): { sub: string, sid: string } =>
  ({ sub: (request.user as { sub: string }).sub, sid: request.sid as string })

// The session that asks logs out, and revokes the others. One that had ended before is confirmed all the same.
function toEndings (ended: SessionRecord[], userTag: string, own: string): Ending[] {
  if (ended.length === 0) return [{ event: 'logout', userTag, sid: own, record: undefined }]
  return ended.map((record) => ({ event: record.sid === own ? 'logout' : 'revoke', userTag, sid: record.sid, record }))
}
