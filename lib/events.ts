import { channel } from 'node:diagnostics_channel'

/** What an event says; never a token. Times in ms, distances in generations. */
export interface SessionEvent {
  sid?: string
  sub?: string
  generation?: number
  /** How long ago the session's current refresh token was handed out, in ms. */
  msSinceRotation?: number
  /** How many generations the presented token was away from the session's. */
  distance?: number
  /** With `repeat`: in how many generations running, this one included, a repeat came. */
  streak?: number
  /** With `unproven`: whether the browser is asked to repeat its request with a proof. */
  redirected?: boolean
  /** How many replicas had confirmed an ending. */
  replicas?: number
  error?: Error
  /** Where the routes of this registration are: one process may have several. */
  prefix?: string
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
  bind: open('bind'),
  unproven: open('unproven'),
  unconfirmed: open('unconfirmed'),
  'store-error': open('store-error')
} as const

/** The name of an event. */
export type EventName = keyof typeof events

/** Emits an event of one registration. */
export type Emit = (name: EventName, event: SessionEvent) => void

/**
 * Creates what emits events; a subscriber that throws harms nobody (Node reports it as an uncaught
 * exception).
 */
export function createEmit (prefix: string): Emit {
  return (name, event) => {
    if (events[name].hasSubscribers) events[name].publish({ ...event, prefix })
  }
}
