import { channel } from 'node:diagnostics_channel'

/** What an event says of its session; never a token. */
export interface AboutSession {
  /** The public id of the session. */
  sid: string
  /** The user. */
  sub: string
  /** The number of its current refresh token, from 1. */
  generation: number
  /** Where the routes of this registration are: one process may have several. */
  prefix: string
}

/** How long ago the session's current refresh token was handed out. */
interface Rotated {
  /** In ms. */
  msSinceRotation: number
}

/** How far the token that was presented was away from the session's. */
interface Away {
  /** In generations. */
  distance: number
}

/**
 * The message of each event, by its name.
 * @example
 * subscribe('fastify-jwt-sessions:reuse', (message) => {
 *   const { sid, distance } = message as SessionEvents['reuse']
 * })
 */
export interface SessionEvents {
  /** A session was opened. */
  login: AboutSession
  /** A rotation, or an offer. */
  refresh: AboutSession & Rotated
  /** A spent token, within the grace period. `streak`: in how many generations running. */
  repeat: AboutSession & Rotated & Away & { streak: number }
  /** A spent token, later: the session has ended. */
  reuse: AboutSession & Rotated & Away
  /** A token ahead of the store, which has lost writes; a `refresh` follows. */
  heal: AboutSession & Rotated & Away
  /** The `claims` hook returned `null`: the session has ended. */
  deny: AboutSession
  /** The user has ended the session. */
  logout: AboutSession
  /** Anyone else has ended the session. */
  revoke: AboutSession
  /** The session was bound to its device. */
  bind: AboutSession
  /**
   * A token of a bound session came without a proof by its key; nothing changed. `redirected`: the
   * browser is asked to repeat its request with a proof. By DPoP, `sub` and `distance` are not
   * known.
   */
  unproven: Pick<AboutSession, 'sid' | 'generation' | 'prefix'> & Partial<AboutSession & Away> &
  { redirected: boolean }
  /** Too few replicas, this many, have confirmed an ending; the session if it is known. */
  unconfirmed: Pick<AboutSession, 'prefix'> & Partial<AboutSession> & { replicas: number }
  /** The store did not answer in time, or with an error; or `push` is disconnected. */
  'store-error': Pick<AboutSession, 'prefix'> & { error: Error }
}

/** What any event may say. */
export interface SessionEvent extends Partial<AboutSession & Rotated & Away> {
  /** With `repeat`. */
  streak?: number
  /** With `unproven`. */
  redirected?: boolean
  /** With `unconfirmed`. */
  replicas?: number
  /** With `store-error`. */
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
  bind: open('bind'),
  unproven: open('unproven'),
  unconfirmed: open('unconfirmed'),
  'store-error': open('store-error')
} satisfies Record<keyof SessionEvents, unknown>

/** The name of an event. */
export type EventName = keyof SessionEvents

/** The message of an event, without what every event of a registration has. */
export type Message<N extends EventName> = Omit<SessionEvents[N], 'prefix'>

/** Emits an event of one registration. */
export type Emit = <N extends EventName>(name: N, message: Message<N>) => void

/**
 * Creates what emits events; a subscriber that throws harms nobody (Node reports it as an uncaught
 * exception).
 */
export function createEmit (prefix: string): Emit {
  return (name, message) => {
    if (events[name].hasSubscribers) events[name].publish({ ...message, prefix })
  }
}
