import type { Context } from './context'
import { announceEnd } from './end'
import { tagOf, toSession, type Session } from './session'

/** `fastify.sessions`: a user's sessions, for pages of devices and for ending them. All throw STORE_UNAVAILABLE. */
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
  const { ask } = context
  return {
    list: async (sub) => {
      if (!isName(sub)) return []
      return (await ask(async (store, within) => await store.list(tagOf(sub), within))).map(toSession)
    },
    revoke: async (sub, sid) => {
      if (!isName(sub) || !isName(sid)) return false
      const ended = await ask(async (store, within) => await store.end(tagOf(sub), sid, within))
      if (ended !== undefined) announceEnd(context, 'revoke', ended)
      return ended !== undefined
    },
    revokeAll: async (sub, options) => {
      if (!isName(sub)) return 0
      const except = isName(options?.except) ? options.except : undefined
      const ended = await ask(async (store, within) => await store.endAll(tagOf(sub), { except }, within))
      for (const record of ended) announceEnd(context, 'revoke', record)
      return ended.length
    }
  }
}
