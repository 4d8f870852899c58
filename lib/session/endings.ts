import type { Emit, SessionEvent } from '../events'
import type { SessionRecord } from '../store/store'
import { readContent } from './content'
import type { Durability } from './durability'
import type { RevocationWatch } from './revocation-watch'

/** A session that has ended, or had ended before: then there is no record of it. */
export interface Ending {
  event: 'logout' | 'revoke' | 'reuse' | 'deny'
  userTag: string
  sid: string
  record: SessionRecord | undefined
  details?: SessionEvent
}

/** The one way to say that sessions have ended. */
export interface Endings {
  /**
   * Tells this node's watch and the subscribers of events, then waits for the replicas of
   * `durability`; resolves with whether enough of them have confirmed every one. All endings of a
   * request go in one call, and so in one wait.
   */
  conclude: (endings: readonly Ending[]) => Promise<boolean>
}

/** Returns the event's members that every event of a session has. */
export const aboutSession = (record: SessionRecord): SessionEvent =>
  ({ sid: record.sid, sub: readContent(record).sub, generation: record.generation })

/** Creates the one way to say that sessions have ended. */
export function createEndings (
  watch: RevocationWatch, durability: Durability, emit: Emit
): Endings {
  return {
    conclude: async (endings) => {
      for (const { event, record, details } of endings) {
        if (record === undefined) continue
        watch.ended(record.sid)
        emit(event, { ...aboutSession(record), ...details })
      }
      return endings.length === 0 || (await durability.confirm(endings))
    }
  }
}
