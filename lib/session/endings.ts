import type { Context } from '../services'
import { emit, type EventName, type SessionEvent } from '../events'
import { contentOf } from './session'
import type { SessionRecord } from '../store/store'

/** Tells everyone that a session has ended, and why. */
export function announceEnd ({ watch }: Context, name: EventName, record: SessionRecord, details: SessionEvent = {}): void {
  watch.ended(record.sid)
  emit(name, { sid: record.sid, sub: contentOf(record).sub, generation: record.generation, ...details })
}
