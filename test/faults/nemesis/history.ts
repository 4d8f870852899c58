/** A refresh token, as far as a client can read it. */
export interface Token {
  text: string
  generation: number
}

/** What is asked of a node; `revoke` and `revokeAll` are those of `fastify.sessions`. */
export type Verb =
  'login' | 'refresh' | 'guard' | 'live' | 'logout' | 'logoutAll' | 'revoke' | 'revokeAll'

/** What came back; a request that got no answer is `'lost'`. */
export interface Heard {
  status: number | 'lost'
  code?: string | undefined
  /** The refresh token that was handed out. */
  token?: Token | undefined
  /** The session that the answer is about, as its access token or the guarded route says. */
  session?: string | undefined
}

/** One request of a client. All times are in ms by the clock of the process that writes them. */
export interface Entry {
  from: number
  to: number
  verb: Verb
  user: string
  /** Its session: of a login the new one; '' if there is none. */
  session: string
  by: 'owner' | 'thief'
  /** Which application was asked. */
  node: number
  /** Whether the session is bound to a key, and whether this request proves that key. */
  bound: boolean
  proven: boolean
  /** Whether its client went away before it could be answered. */
  left?: boolean
  /** The refresh token that was presented. */
  presented?: Token | undefined
  /** The session whose cookie a login brings, and so ends. */
  replaces?: string | undefined
  heard: Heard
}

/** What the nemesis did, until everything was whole again. */
export interface Fault {
  name: string
  from: number
  to: number
  /** Whether a server was replaced by its replica: what was written meanwhile may be lost. */
  losesWrites?: boolean
  /** The nodes that may not be told meanwhile which sessions end. */
  deafens?: readonly number[]
  /** Whether the clock of an application was wrong. */
  stepsClock?: boolean
  /** By how many ms the clock of Redis was wrong. */
  stepsRedis?: number
}

/** A key of Redis: its TTL in ms (-1: none), and every text in it. */
export interface Key {
  name: string
  ttl: number
  texts: Buffer[]
}

/** How the application under test is set up. */
export interface Setting {
  spentOn: 'issue' | 'use'
  /** In ms. */
  gracePeriod: number
  durable: boolean
}

/** All that happened to one application, and what its Redis held at times. */
export interface History {
  setting: Setting
  entries: Entry[]
  faults: Fault[]
  dumps: Key[][]
  /** When a node began to hear which sessions end, and when it noticed that it did not. */
  hearing: { node: number, at: number, hears: boolean }[]
  /** When it ended. */
  end: number
}

/** The longest that a node waits for an answer of its store, in ms. */
export const storeTimeout = 1_000

/**
 * Returns by how many ms a grace period can be longer or shorter than it should, as its clock has
 * stepped.
 */
export const stepOf = ({ faults }: History): number =>
  Math.max(0, ...faults.map(({ stepsRedis = 0 }) => Math.abs(stepsRedis)))

/** Returns whether two spans of time have a moment in common. */
export const overlap = (a: { from: number, to: number }, b: { from: number, to: number }) =>
  a.from <= b.to && b.from <= a.to
