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

/** The one way to say that sessions have ended. */
export interface Endings {
  /**
   * Notifies this node's watch and the subscribers of events, then waits for the replicas of
   * `durability`; resolves with whether enough of them have confirmed every one. All endings of a
   * request go in one call, and so in one wait.
   */
  conclude: (endings: readonly Ending[]) => Promise<boolean>
}

/** Returns the event's members that every event of a session has. */
export const aboutSession = (record: SessionRecord): Omit<AboutSession, 'prefix'> =>
  ({ sid: record.sid, sub: readContent(record).sub, generation: record.generation })

/** Creates the one way to say that sessions have ended. */
export function createEndings (
  watch: RevocationWatch, durability: Durability, emit: Emit
): Endings {
  return {
    conclude: async (endings) => {
      for (const ending of endings) {
        const { record } = ending
        if (record === undefined) continue
        watch.ended(record.sid)
        const about = aboutSession(record)
        if (ending.event === 'reuse') emit('reuse', { ...about, ...ending.details })
        else emit(ending.event, about)
      }
      return endings.length === 0 || (await durability.confirm(endings))
    }
  }
}
