import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { events, type EventName, type SessionEvent } from '../../lib/events'

/** Collects the plugin's events for one test, without the prefix, which all of them have. */
export function observe (t: {
  teardown: (done: () => void) => unknown
}): () => Array<[EventName, SessionEvent]> {
  const seen: Array<[EventName, SessionEvent]> = []
  for (const name of Object.keys(events) as EventName[]) {
    const listener = (given: unknown) => {
      const { prefix, ...event } = given as SessionEvent
      seen.push([name, event])
    }
    subscribe(`fastify-jwt-sessions:${name}`, listener)
    t.teardown(() => {
      unsubscribe(`fastify-jwt-sessions:${name}`, listener)
    })
  }
  return () => seen
}
