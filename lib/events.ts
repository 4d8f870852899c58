import { channel } from 'node:diagnostics_channel'

/** What an event says; never a token. Times in ms, distances in generations. */
export interface SessionEvent {
  sid?: string
  sub?: string
  generation?: number
  msSinceRotation?: number
  distance?: number
  /** How many replicas had confirmed an ending. */
  replicas?: number
  error?: Error
}

const open = (name: string) => channel(`fastify-jwt-sessions:${name}`)

/** The diagnostics channels, `fastify-jwt-sessions:<name>`. */
export const events = {
  login: open('login'),
  refresh: open('refresh'),
  repeat: open('repeat'),
  reuse: open('reuse'),
  heal: open('heal'),
  deny: open('deny'),
  logout: open('logout'),
  revoke: open('revoke'),
  unconfirmed: open('unconfirmed'),
  'store-error': open('store-error')
} as const

export type EventName = keyof typeof events

/** Publishes an event; a subscriber that throws harms nobody (Node reports it as an uncaught exception of its own). */
export function emit (name: EventName, event: SessionEvent): void {
  if (events[name].hasSubscribers) events[name].publish(event)
}
