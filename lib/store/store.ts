/** What a store keeps of a session. Times in ms since the epoch, by the store's own clock. */
export interface SessionRecord {
  /** The public id of the session. */
  readonly sid: string
  /** The generation of its current refresh token, from 1; a session ends after 2^24 - 1. */
  readonly generation: number
  /** When it was created. */
  readonly createdAt: number
  /** When its current refresh token was handed out. */
  readonly refreshedAt: number
  /** When it ends unless it is refreshed before. */
  readonly expiresAt: number
  /** The absolute end, fixed at login. */
  readonly deadline: number
  /** Three characters that say which key signed the current refresh token. */
  readonly signer: string
  /** The session's content, which no store looks into. */
  readonly content: string
  /**
   * The thumbprint of the device's key (16 characters of base64url) that `bind` has set;
   * `undefined`: unbound.
   */
  readonly boundTo?: string | undefined
}

/** A session to be created. Lifetimes in ms. */
export interface Creation {
  /** The public id of the session. */
  sid: string
  /** As in SessionRecord. */
  signer: string
  /** As in SessionRecord. */
  content: string
  /** From now, and from each rotation; in ms. */
  idleLifetime: number
  /** From now; in ms. */
  absoluteLifetime: number
  /** `Infinity` for no limit. */
  maxSessions: number
  /** A session of the same user that ends in the same step. */
  replaces?: string | undefined
}

/** A refresh token that is presented, and how it is to be judged. */
export interface Presentation {
  /** The session that the token names. */
  sid: string
  /** The generation of the presented token. */
  generation: number
  /** When the presented token was handed out, in ms since the session's creation. */
  handedOutAt: number
  /**
   * When a refresh token counts as spent: when its successor is issued, or when its successor is
   * used.
   */
  spentOn: 'issue' | 'use'
  /** ms; 0 is strict single use. */
  gracePeriod: number
  /** The thumbprint that the token itself says it is bound to. */
  boundTo?: string | undefined
  /** The thumbprint that the request has proven for this generation. */
  proof?: string | undefined
}

/** A presentation that rotates. */
export interface Rotation extends Presentation {
  /** Of the next token, as in SessionRecord. */
  signer: string
  /**
   * New content, for the one that it was made from or for itself; `undefined` keeps the present
   * one.
   */
  content: { from: string, to: string } | undefined
  /** ms */
  idleLifetime: number
}

/** What a refresh token was found to be. */
export interface Verdict {
  /** The session as it is now; with `reused` as it was. */
  session: SessionRecord
  /**
   * How many generations the token was away from the session's; an offer that is taken when tokens
   * are spent on `issue` again is not away from it.
   */
  distance: number
  /** How long ago the session's current refresh token was handed out. */
  msSinceRotation: number
  /**
   * In how many generations running, this one included, a repeat came; 0 for anything but a
   * repeat.
   */
  streak: number
}

/**
 * The refresh token to hand out: its generation, and the moment in ms since the session's
 * creation.
 */
export interface HandedOut {
  /** The generation, from 1. */
  generation: number
  /** In ms since the session's creation. */
  at: number
}

/**
 * What presenting a refresh token came to. `rotated`: the session moved on, and `next` is the new
 * token; `offered`: nothing is spent, and `next` is an offer. `repeated`: nothing changed, and
 * `next` is the present token. `reused`: the session was ended by it. `unproven`: the session is
 * bound and the proof is missing or by another key; nothing changed. `changed`: the session would
 * have moved on, but its content is neither `from` nor `to`; nothing changed. `unknown`:
 * no such session.
 */
export type Outcome =
  | (Came<'rotated' | 'offered' | 'repeated'> & Verdict & {
    /** The refresh token to hand out. */
    next: HandedOut
  })
  | (Came<'reused'> & Verdict)
  | (Came<'unproven'> & Verdict)
  | (Came<'changed'> & {
    /** The session as it is. */
    session: SessionRecord
  })
  | Came<'unknown'>

/** What a step came to. */
interface Came<To extends string> {
  /** In a word. */
  outcome: To
}

/**
 * Which sessions to end: all of a user's, except one; with a `witness` only if it is good at this
 * moment.
 */
export interface EndingAll {
  /** The `sid` of a session that stays. */
  except?: string | undefined
  /**
   * A refresh token that is judged as a refresh would judge it, or the `sid` of a session that
   * must live.
   */
  witness?: Presentation | { sid: string } | undefined
}

/**
 * What ending all sessions came to; with `reused` the session of the witness ended, and no other.
 */
export type EndedAll =
  | (Came<'done'> & {
    /** Oldest first. */
    ended: SessionRecord[]
  })
  | (Came<'reused' | 'unproven'> & Verdict)
  | Came<'unknown'>

/** Receives the sessions that any node ends. */
export interface Listener {
  /** A session has ended. */
  ended: (sid: string) => void
  /**
   * Disconnected: endings may be missed from now on. Called again whenever an attempt to
   * reconnect fails.
   */
  lost: (reason: Error) => void
  /** Connected again: every ending from now on arrives. */
  listening: () => void
}

/** Sessions of one user that have ended. */
export interface Ended {
  /** The user. */
  userTag: string
  /** The sessions. */
  sids: readonly string[]
}

/** Asks the replicas of a store. */
export interface Replication {
  /**
   * Waits until that many replicas have all these endings; resolves with how many have, after
   * `timeout` ms at the latest.
   */
  confirm: (ended: readonly Ended[], replicas: number, timeout: number) => Promise<number>
  /** Gives back what it holds. */
  close: () => void
}

/**
 * Where sessions live. Every step is atomic. A store that cannot answer rejects. `timeout` is the
 * time in ms after which a step must no longer take effect. `userTag` names the user of a
 * session; all sessions of a user stand together.
 */
export interface Store {
  /** Returns the store's clock in whole ms since the epoch, as far as it is known. */
  now: () => number | undefined
  /**
   * Creates a session; resolves with it, and with those of the user that were ended for it,
   * oldest first.
   */
  create: (userTag: string, creation: Creation, timeout: number) =>
  Promise<{ session: SessionRecord, ended: SessionRecord[] }>
  /** Resolves with a session, or `undefined`. */
  find: (userTag: string, sid: string, timeout: number) => Promise<SessionRecord | undefined>
  /** Resolves with all sessions of a user, oldest first. */
  list: (userTag: string, timeout: number) => Promise<SessionRecord[]>
  /** Judges a refresh token, and does what follows. */
  rotate: (userTag: string, rotation: Rotation, timeout: number) => Promise<Outcome>
  /** Replaces the content of a session if it is still `from`; resolves with what it is now. */
  update: (userTag: string, change: { sid: string, from: string, to: string }, timeout: number) =>
  Promise<SessionRecord | undefined>
  /** Ends a session; resolves with what it was, or `undefined`. */
  end: (userTag: string, sid: string, timeout: number) => Promise<SessionRecord | undefined>
  /** Ends all sessions of a user, except one. */
  endAll: (userTag: string, ending: EndingAll, timeout: number) => Promise<EndedAll>
  /**
   * Binds a session to a key, unless it is bound; resolves with what it was before, or
   * `undefined`. Optional.
   */
  bind?: (userTag: string, binding: { sid: string, boundTo: string }, timeout: number) =>
  Promise<SessionRecord | undefined>
  /**
   * Prepares for the first request, which works without it too; may resolve with a warning for
   * the log.
   */
  open?: (timeout: number) => Promise<string | void>
  /** Reports every session that is ended, by whichever node; returns the way to stop it. */
  listen?: (listener: Listener) => () => void
  /** For a store that has replicas. */
  replication?: () => Replication
}
