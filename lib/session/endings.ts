import type { AboutSession, Emit, Message } from '../events'
import type { SessionRecord } from '../store/store'
import { readContent } from './content'
import type { Durability } from './durability'
import type { RevocationWatch } from './revocation-watch'

/** A session that has ended, or had ended before: then there is no record of it. */
export type Ending = Ended & (
  | { event: 'logout' | 'revoke' | 'deny' }
  | { event: 'reuse', details: Omit<Message<'reuse'>, keyof AboutSession> }
)

interface Ended {
  userTag: string
  sid: string
  record: SessionRecord | undefined
}

/** The sessions that one request, or one call, has ended. */
export interface Over {
  /**
   * Notifies this node's watch and the subscribers of events: at once, since what has ended is over
   * whatever the request does next.
   */
  add: (endings: readonly Ending[]) => void
  /** Returns whether a session of this user is among them. */
  includes: (userTag: string) => boolean
  /**
   * Waits for the replicas of `durability`, once for all of them; resolves with whether enough
   * replicas have confirmed every one.
   */
  confirm: () => Promise<boolean>
}

/** The one way to say that sessions have ended. */
export interface Endings {
  gather: () => Over
}

/** Returns the event's members that every event of a session has. */
export const aboutSession = (record: SessionRecord): Omit<AboutSession, 'prefix'> =>
  ({ sid: record.sid, sub: readContent(record).sub, generation: record.generation })

/** Creates the one way to say that sessions have ended. */
export function createEndings (
  watch: RevocationWatch, durability: Durability, emit: Emit
): Endings {
  function tell (ending: Ending): void {
    const { record } = ending
    if (record === undefined) return
    watch.ended(record.sid)
    const about = aboutSession(record)
    if (ending.event === 'reuse') emit('reuse', { ...about, ...ending.details })
    else emit(ending.event, about)
  }

  return {
    gather: () => {
      const over: Ending[] = []
      return {
        add: (endings) => {
          for (const ending of endings) {
            over.push(ending)
            tell(ending)
          }
        },
        includes: (userTag) => over.some((ending) => ending.userTag === userTag),
        confirm: async () => over.length === 0 || (await durability.confirm(over))
      }
    }
  }
}
