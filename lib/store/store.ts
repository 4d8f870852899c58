/** What a store keeps of a session; times in ms since the epoch, by the store's own clock. */
export interface SessionRecord {
  readonly sid: string
  /** The number of its current refresh token, from 1. */
  readonly generation: number
  readonly createdAt: number
  readonly refreshedAt: number
  readonly expiresAt: number
  /** The absolute end, fixed at login. */
  readonly deadline: number
  /** Three characters that tell which key signed the current refresh token. */
  readonly signer: string
  /** The session's content, which no store looks into. */
  readonly text: string
}

export interface Creation {
  sid: string
  signer: string
  text: string
  /** ms */
  idleLifetime: number
  /** ms */
  absoluteLifetime: number
  /** `Infinity` for no limit. */
  maxSessions: number
}

export interface Rotation {
  sid: string
  /** The generation that was presented. */
  generation: number
  signer: string
  /** New content; `undefined` keeps the present one. */
  text: string | undefined
  /** ms */
  idleLifetime: number
  /** ms; 0 is strict single use. */
  gracePeriod: number
}

/**
 * What presenting a refresh token came to. `reused`: the session was ended by it.
 * `distance` is how far the token was from the session's generation, `msSinceRotation` the age of the last rotation.
 */
export type Outcome =
  | { outcome: 'rotated' | 'repeated' | 'reused', session: SessionRecord, distance: number, msSinceRotation: number }
  | { outcome: 'unknown' }

/** Whom to end: all of a user's sessions, save one; or all of them only if `witness` is one that lives. */
export interface Ending {
  except?: string
  witness?: string
}

/** What a node wants to hear of sessions that others end. */
export interface Listener {
  ended: (sid: string) => void
  /** Cut off: endings may be missed from now on. Told again whenever an attempt to come back fails. */
  lost: (reason: Error) => void
  /** Listening again: every ending from now on will be heard. */
  listening: () => void
}

/** Hears from the replicas of a store. */
export interface Replication {
  /** Waits until so many replicas have all that was written of this user, the ending of these sessions among it; answers how many have, after `within` ms at the latest. */
  confirm: (user: string, sids: string[], replicas: number, within: number) => Promise<number>
  close: () => void
}

/**
 * Where sessions live. `user` is the routing tag of their user. Every step is atomic. A store that cannot answer rejects;
 * `within` is the time in ms after which a step must no longer take effect.
 */
export interface Store {
  /** The store's clock in ms since the epoch, as far as it is known. */
  now: () => number | undefined
  /** Opens a session; answers it, and those of the user that were ended for it, oldest first. */
  create: (user: string, creation: Creation, within: number) => Promise<{ session: SessionRecord, ended: SessionRecord[] }>
  find: (user: string, sid: string, within: number) => Promise<SessionRecord | undefined>
  list: (user: string, within: number) => Promise<SessionRecord[]>
  rotate: (user: string, rotation: Rotation, within: number) => Promise<Outcome>
  end: (user: string, sid: string, within: number) => Promise<SessionRecord | undefined>
  endAll: (user: string, ending: Ending, within: number) => Promise<SessionRecord[]>
  /** Makes ready for the first request, sessions work without it too; may answer a warning for the log. */
  open?: (within: number) => Promise<string | void>
  /** Tells of every session that is ended, by whichever node; answers the way to stop it. */
  listen?: (listener: Listener) => () => void
  /** For a store that has replicas. */
  replication?: () => Replication
}
