import { EndingUnconfirmedError, InvalidLoginError, StoreUnavailableError, refuse } from '../errors'
import { deny, describe, isObject, isString, object, value } from '../options/schema'
import { readClaims, type Complain } from '../session/claims'
import { packContent, readContent, userTagOf, type Content } from '../session/content'
import type { Ending } from '../session/endings'
import type { SessionClaims } from '../session/claims-types'
import { toSession, type Session } from '../session/session'
import type { Services } from '../services'
import { checkData } from './check-data'
import { checkDevice } from './check-device'
import type { LoginClaims, LoginOptions } from './check-login'
import { checkSize } from './check-size'
import type { Login } from './login'

/** What an update may change of a session; what it leaves out stays. */
export interface SessionUpdate {
  /** The claims but for `sub`, instead of the present ones: the next access token has them. */
  claims?: Omit<SessionClaims, 'sub'> | undefined
  /** The label; `null` takes it away. */
  device?: string | null | undefined
  /** Plain JSON of at most 1 KiB. */
  data?: unknown
}

/** A session that was opened without a request. */
export interface OpenedSession {
  /** The public id of the session. */
  sid: string
  /** For `Authorization: Bearer`; in cookie mode for the cookie of access tokens. */
  accessToken: string
  /** For the cookie of refresh tokens, or the body of a refresh. */
  refreshToken: string
  /** Of the access token, in seconds. */
  expiresIn: number
}

/**
 * `fastify.sessions`: a user's sessions, for pages of devices, for ending them, and for tests. All
 * reject with STORE_UNAVAILABLE, and with INVALID_OPTION if `sub` is no non-empty string; with
 * `durability`, the two that end sessions reject with ENDING_UNCONFIRMED.
 */
export interface Sessions {
  /** Resolves with all sessions of a user, oldest first; with none if the user is not known. */
  list: (sub: string) => Promise<Session[]>
  /**
   * Ends one session of this user; `false` if there is no such session, or it is another user's.
   */
  revoke: (sub: string, sid: string) => Promise<boolean>
  /**
   * Ends all sessions of a user, except one; resolves with how many. `except: null` keeps none.
   * Rejects with INVALID_OPTION for wrong options.
   */
  revokeAll: (sub: string, options?: { except?: string | null | undefined }) => Promise<number>
  /**
   * Changes a session; `false` if there is no such session of this user. Rejects with INVALID_LOGIN
   * for wrong values.
   */
  update: (sub: string, sid: string, change: SessionUpdate) => Promise<boolean>
  /**
   * Opens a session without a request: for tests, scripts and support. Rejects with INVALID_LOGIN.
   */
  open: (claims: LoginClaims, options?: LoginOptions) => Promise<OpenedSession>
}

const invalid: Complain = (sentence) =>
  new InvalidLoginError(`fastify.sessions.update: ${sentence}`)
const attempts = 10
const isExcept = (given: unknown): given is string | null => given === null || isString(given)
const readRevokeAllOptions =
  object({ except: value(isExcept, 'the sid of a session, or null', undefined) })

// Nobody's sessions are what a mistake names: it must not pass for a user who has none.
const tagOf = (sub: unknown, call: string): string => isString(sub)
  ? userTagOf(sub)
  : deny(`fastify.sessions.${call}: sub`, describe(sub), 'a non-empty string')

/** Creates `fastify.sessions`. */
export function createSessions (services: Services, login: Login): Sessions {
  const { store } = services

  // Also for what had ended before: the replicas may have it by now.
  async function conclude (endings: Ending[]): Promise<void> {
    const over = services.endings.gather()
    over.add(endings)
    if (await over.confirm()) return
    throw refuse(EndingUnconfirmedError, 'too few replicas have confirmed it', {
      'retry-after': '1'
    })
  }

  return {
    list: async (sub) => (await store.list(tagOf(sub, 'list'))).map(toSession),

    revoke: async (sub, sid) => {
      const userTag = tagOf(sub, 'revoke')
      if (!isString(sid)) return false
      const record = await store.end(userTag, sid)
      await conclude([{ event: 'revoke', userTag, sid, record }])
      return record !== undefined
    },

    revokeAll: async (sub, options) => {
      const userTag = tagOf(sub, 'revokeAll')
      const { except } = readRevokeAllOptions(options, 'fastify.sessions.revokeAll: options')
      const outcome = await store.endAll(userTag, { except: except ?? undefined })
      const ended = outcome.outcome === 'done' ? outcome.ended : []
      const records = ended.length > 0 ? ended : [undefined]
      await conclude(
        records.map((record) => ({ event: 'revoke', userTag, sid: record?.sid ?? '', record }))
      )
      return ended.length
    },

    update: async (sub, sid, change) => {
      const userTag = tagOf(sub, 'update')
      const apply = readChange(services, sub, change)
      if (!isString(sid)) return false
      let record = await store.find(userTag, sid)
      for (let left = attempts; record !== undefined && left > 0; left--) {
        const to = packContent(apply(readContent(record)))
        record = await store.update(userTag, { sid, from: record.content, to })
        if (record?.content === to) return true
      }
      if (record === undefined) return false
      throw refuse(StoreUnavailableError, `the session was changed ${attempts} times meanwhile`, {
        'retry-after': '1'
      })
    },

    open: async (claims, options) => {
      const { sid, accessToken, refreshToken, expiresIn } = await login(claims, options)
      return { sid, accessToken, refreshToken, expiresIn }
    }
  }
}

function readChange (
  services: Services, sub: string, change: SessionUpdate
): (content: Content) => Content {
  if (!isObject(change)) throw invalid(`the change is ${describe(change)}; it must be an object`)
  const { claims, device, data, ...unknown } = change
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw invalid(`${name} is unknown; there are claims, device and data`)
  const label = checkDevice(device, invalid)
  const given = claims === undefined ? undefined : readClaims(claims, invalid)
  if (given?.sub !== undefined && given.sub !== sub) {
    throw invalid(`claims.sub is ${describe(given.sub)}; a session stays its user's`)
  }
  checkData(data, invalid)
  return (content) => {
    const changed: Content = {
      ...content,
      claims: given?.claims ?? content.claims,
      device: label === undefined ? content.device : label,
      data: data === undefined ? content.data : data
    }
    checkSize(services, changed, invalid)
    return changed
  }
}
