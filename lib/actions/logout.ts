import type { FastifyRequest } from 'fastify'
import type { Credentials } from '../http/credentials'
import { isBoolean, object, value } from '../options/schema'
import { userTagOf } from '../session/content'
import type { Over } from '../session/endings'
import type { Services } from '../services'
import { callerOf, type Caller } from './caller'
import { createLogoutAll } from './logout-all'
import { namedByAccessToken } from './named-by-access-token'
import { findAuthentic, newestOfEach } from './refresh-candidates'

/** What a logout may say. */
export interface LogoutOptions {
  /** Ends all sessions of the user, not this one alone. @default false */
  all?: boolean | undefined
}

/** Reads the options of `reply.logout`. @throws INVALID_OPTION */
export const readLogoutOptions = object({ all: value(isBoolean, 'true or false', false) })

interface Named {
  userTag: string
  sid: string
}

/** What is asked of a logout, by the plugin's own route or the application's. */
export interface Asked extends LogoutOptions {
  /**
   * Whether the user that a guard has found counts. Not on the plugin's own route: a guard of the
   * whole application must change nothing there, so the tokens of the request alone are judged.
   * @default true
   */
  byCaller?: boolean
}

/** How many sessions one request may end by naming them. */
const most = 4

/**
 * Creates what `reply.logout` and `POST {prefix}/logout` do; both resolve with whether the replicas
 * have confirmed it.
 */
export function createLogout (services: Services) {
  const { accessTokens, endings, store } = services
  const endAll = createLogoutAll(services)

  /**
   * Ends the sessions that a request names, or all of their users'.
   * @throws STORE_UNAVAILABLE, or why `all` is refused
   */
  return async function logout (
    credentials: Credentials, request: FastifyRequest, { all = false, byCaller = true }: Asked = {}
  ): Promise<boolean> {
    const caller = byCaller ? callerOf(request) : undefined
    const over = endings.gather()
    let confirmed: boolean
    try {
      if (all) await endAll(credentials, request, caller, over)
      else await endNamed(credentials, caller, over)
    } finally {
      // Also after a failure: what has ended by then will not be found again.
      confirmed = await over.confirm()
    }
    return confirmed
  }

  async function endNamed (
    credentials: Credentials, caller: Caller | undefined, over: Over
  ): Promise<void> {
    for (const { userTag, sid } of nameSessions(credentials, caller)) {
      over.add([{ event: 'logout', userTag, sid, record: await store.end(userTag, sid) }])
    }
  }

  function nameSessions (credentials: Credentials, caller: Caller | undefined): Named[] {
    const newest = newestOfEach(findAuthentic(services, credentials)).sort((a, b) => b.exp - a.exp)
    const named = new Map<string, Named>(newest.slice(0, most).map((token) => [token.sid, token]))
    const byAccess = namedByAccessToken(accessTokens, credentials).slice(0, most)
    for (const { sid, sub } of caller ? [caller] : byAccess.map(({ claims }) => claims)) {
      named.set(sid, { sid, userTag: userTagOf(sub) })
    }
    return [...named.values()]
  }
}
