import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type {
  Creation,
  HandedOut,
  Outcome,
  Presentation,
  Rotation,
  SessionRecord,
  Store
} from '../../store/store'

/** A store under test, and a way to let time pass for what it holds. */
export interface Subject {
  /** The store. */
  store: Store
  /** Lets so many ms pass for what the store holds; the clock may also step back. */
  pass: (ms: number) => Promise<void> | void
}

/** Declares one test, as `node:test`, tap and vitest do. */
export type Declare = (
  title: string,
  body: (subject: Subject, userTag: string) => Promise<void>
) => void

export const second = 1000
export const minute = 60 * second
export const hour = 60 * minute
export const day = 24 * hour

/** The timeout of every step, in ms. */
export const timeout = 2000

export const creation = (more: Partial<Creation> = {}): Creation => ({
  sid: randomUUID(),
  signer: 'abc',
  content: '0ada\n\n',
  idleLifetime: 14 * day,
  absoluteLifetime: 90 * day,
  maxSessions: 50,
  ...more
})

export const presentation = (
  sid: string,
  generation: number,
  more: Partial<Presentation> = {}
): Presentation => ({
  sid,
  generation,
  handedOutAt: 0,
  spentOn: 'issue',
  gracePeriod: 10 * second,
  ...more
})

export const rotation = (
  sid: string,
  generation: number,
  more: Partial<Rotation> = {}
): Rotation => ({
  ...presentation(sid, generation),
  signer: 'abc',
  content: undefined,
  idleLifetime: 14 * day,
  ...more
})

/** A refresh that was let in. */
export type LetIn = Extract<Outcome, { next: HandedOut }>

/** One session, and the tokens of whoever holds one. */
export class Holder {
  readonly store: Store
  readonly userTag: string
  readonly session: SessionRecord
  readonly more: Partial<Rotation>
  /** The newest token. */
  token: HandedOut = { generation: 1, at: 0 }

  private constructor (
    store: Store,
    userTag: string,
    session: SessionRecord,
    more: Partial<Rotation>
  ) {
    this.store = store
    this.userTag = userTag
    this.session = session
    this.more = more
  }

  /** Logs in. `more` is part of every rotation. */
  static async login (
    store: Store,
    userTag: string,
    more: Partial<Rotation> = {},
    creating: Partial<Creation> = {}
  ): Promise<Holder> {
    const { session } = await store.create(userTag, creation(creating), timeout)
    return new Holder(store, userTag, session, more)
  }

  get sid (): string {
    return this.session.sid
  }

  /** Presents a token, the newest unless told otherwise. */
  async present (token: HandedOut = this.token, more: Partial<Rotation> = {}): Promise<Outcome> {
    const given = { handedOutAt: token.at, ...this.more, ...more }
    return await this.store.rotate(
      this.userTag,
      rotation(this.sid, token.generation, given),
      timeout
    )
  }

  /** Presents a token that must be let in by this verdict; the one that it gets is the newest. */
  async refresh (
    outcome: LetIn['outcome'],
    token = this.token,
    more: Partial<Rotation> = {}
  ): Promise<LetIn> {
    const result = await this.present(token, more)
    assert.equal(result.outcome, outcome)
    this.token = (result as LetIn).next
    return result as LetIn
  }

  /** Presents a token that must come to this. */
  async expect (
    outcome: Outcome['outcome'],
    token: HandedOut,
    more: Partial<Rotation> = {}
  ): Promise<Outcome> {
    const result = await this.present(token, more)
    assert.equal(result.outcome, outcome, `generation ${token.generation}`)
    return result
  }

  async find (): Promise<SessionRecord | undefined> {
    return await this.store.find(this.userTag, this.sid, timeout)
  }
}

/** Returns the sids of sessions. */
export const sidsOf = (sessions: readonly SessionRecord[]): string[] =>
  sessions.map(({ sid }) => sid)
