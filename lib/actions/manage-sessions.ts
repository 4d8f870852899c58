import type { Context } from '../services'
import { announceEnd } from '../session/endings'
import { EndingUnconfirmedError, refuse } from '../errors'
import { tagOf, toSession, type Session } from '../session/session'
import type { SessionRecord } from '../store/store'

/** `fastify.sessions`: a user's sessions, for pages of devices and for ending them. All throw STORE_UNAVAILABLE; with `durability` the two that end sessions throw ENDING_UNCONFIRMED. */
export interface Sessions {
  /** All sessions of a user, oldest first; none for a user that is not known. */
  list: (sub: string) => Promise<Session[]>
  /** Ends one session of this user; `false` where there is no such session, or it is another user's. */
  revoke: (sub: string, sid: string) => Promise<boolean>
  /** Ends all sessions of a user, save one; answers how many. */
  revokeAll: (sub: string, options?: { except?: string | null }) => Promise<number>
}

const isName = (given: unknown): given is string => typeof given === 'string' && given !== ''

/** Makes `fastify.sessions`. */
export function createSessions (context: Context): Sessions {
  const { ask, durability } = context

  async function confirm (sub: string, ended: SessionRecord[]): Promise<void> {
    for (const record of ended) announceEnd(context, 'revoke', record)
    if (!await durability.confirm(tagOf(sub), ended)) throw refuse(EndingUnconfirmedError, 'too few replicas', { 'retry-after': '1' })
  }

  return {
    list: async (sub) => {
      if (!isName(sub)) return []
      return (await ask((store, within) => store.list(tagOf(sub), within))).map(toSession)
    },
    revoke: async (sub, sid) => {
      if (!isName(sub) || !isName(sid)) return false
      const ended = await ask((store, within) => store.end(tagOf(sub), sid, within))
      await confirm(sub, ended === undefined ? [] : [ended])
      return ended !== undefined
    },
    revokeAll: async (sub, options) => {
      if (!isName(sub)) return 0
      const except = isName(options?.except) ? options.except : undefined
      const ended = await ask((store, within) => store.endAll(tagOf(sub), { except }, within))
      await confirm(sub, ended)
      return ended.length
    }
  }
}
