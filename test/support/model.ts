import fc from 'fast-check'
import { minute } from './app'

// Commands step the clock by whole minutes, and all durations end between two minutes, so that the
// few ms which a real server's clock goes on meanwhile never decide anything.
const half = minute / 2
export const idleLifetime = 10 * minute + half
export const absoluteLifetime = 30 * minute + half
export const graces = { strict: 0, short: 2 * minute + half } as const

/**
 * What is done to a store. `of` and the like are numbers of sessions in the order of their
 * creation.
 */
export type Command =
  | { verb: 'create', user: User, maxSessions: number }
  | {
    verb: 'rotate'
    user: User
    of: number
    offset: number
    grace: keyof typeof graces
    /** New content, made from that of the login: its own id. */
    content: string | undefined
    /** What the token says that its session is bound to, and what was proven. */
    boundTo?: Key | undefined
    proof?: Key | undefined
  }
  | { verb: 'bind', user: User, of: number, key: Key }
  | { verb: 'find' | 'end', user: User, of: number }
  | { verb: 'list', user: User }
  | { verb: 'endAll', user: User, except: number | undefined, witness: number | undefined }
  | { verb: 'pass', minutes: number }

/** The thumbprint of a key. */
export type Key = typeof keys[number]
const keys = ['ThumbprintOfMine', 'ThumbprintOfEve-'] as const

export type User = 'ada' | 'eve'

/** A session as both sides see it; times in half minutes from now. */
export interface Seen {
  sid: string
  generation: number
  content: string
  boundTo: string | undefined
  created: number
  refreshed: number
  expires: number
  deadline: number
}

/** What a command came to, on either side. */
export type Outcome =
  | Seen
  | Seen[]
  | { outcome: string, distance?: number, session?: Seen }
  | { session: Seen, ended: Seen[] }
  | undefined

interface Session {
  sid: string
  user: User
  generation: number
  content: string
  boundTo: string | undefined
  createdAt: number
  refreshedAt: number
  expiresAt: number
  /** Each generation with the moment of its issue. */
  issued: Array<[generation: number, at: number]>
}

/** Half minutes, to the nearest one; never a negative zero. */
export const halves = (ms: number): number => Math.round(ms / half) + 0
/**
 * The id of the session that the command at this position creates; ids are in the order of
 * creation.
 */
export const sidAt = (position: number): string => `session ${String(position).padStart(4, '0')}`

/**
 * All that the stores promise, without a thought for how: a list of living sessions and a clock.
 */
export class Model {
  now = 0
  /** The generation that a session has, or last had. */
  readonly generations = new Map<string, number>()
  #sessions: Session[] = []

  clone (): Model {
    const copy = new Model()
    copy.now = this.now
    for (const [sid, generation] of this.generations) copy.generations.set(sid, generation)
    copy.#sessions = this.#sessions.map((session) => ({ ...session, issued: [...session.issued] }))
    return copy
  }

  /**
   * Does what the command says; `sids` are all that were ever created, `own` is the one that a
   * login creates.
   */
  apply (command: Command, sids: string[], own: string): Outcome {
    this.#sessions = this.#sessions.filter(({ expiresAt }) => expiresAt > this.now)
    const named = (number: number | undefined) =>
      number === undefined ? undefined : (sids[number % sids.length] ?? 'none')
    switch (command.verb) {
      case 'pass':
        this.now += command.minutes * minute
        return undefined
      case 'create': {
        const living = this.#of(command.user)
        const ended = this.#end(
          living.slice(0, Math.max(0, living.length + 1 - command.maxSessions))
        )
        const session = {
          sid: own,
          user: command.user,
          generation: 1,
          content: own,
          boundTo: undefined,
          createdAt: this.now,
          refreshedAt: this.now,
          expiresAt: this.now + idleLifetime,
          issued: [[1, this.now]] satisfies Session['issued'] as Session['issued']
        }
        this.#sessions.push(session)
        this.generations.set(own, 1)
        return { session: this.#see(session), ended }
      }
      case 'list':
        return this.#of(command.user).map((session) => this.#see(session))
      case 'find':
        return this.#of(command.user)
          .filter(({ sid }) => sid === named(command.of))
          .map((session) => this.#see(session))[0]
      case 'end':
        return this.#end(this.#of(command.user).filter(({ sid }) => sid === named(command.of)))[0]
      case 'endAll': {
        const living = this.#of(command.user)
        if (
          command.witness !== undefined &&
          living.every(({ sid }) => sid !== named(command.witness))
        ) { return [] }
        return this.#end(living.filter(({ sid }) => sid !== named(command.except)))
      }
      case 'bind': {
        const session = this.#of(command.user).find(({ sid }) => sid === named(command.of))
        if (session === undefined) return undefined
        const before = this.#see(session)
        session.boundTo ??= command.key
        return before
      }
      case 'rotate':
        return this.#rotate(command, named(command.of) ?? 'none')
    }
  }

  /**
   * The generation that a command presents: so many before or after the one that the session has,
   * or last had.
   */
  presents (sid: string | undefined, offset: number): number {
    return Math.max(1, (this.generations.get(sid ?? '') ?? 1) + offset)
  }

  /**
   * When a token ahead of the store says that it was handed out: as late as the last known, in ms
   * since the login.
   */
  handedOutAt (sid: string): number {
    const session = this.#sessions.find((session) => session.sid === sid)
    return session === undefined ? 0 : session.refreshedAt - session.createdAt
  }

  #rotate (command: Command & { verb: 'rotate' }, sid: string): Outcome {
    const { user, offset, grace, content, proof } = command
    const session = this.#of(user).find((session) => session.sid === sid)
    if (session === undefined) return { outcome: 'unknown' }
    const presented = this.presents(sid, offset)
    const distance = Math.abs(presented - session.generation)
    // What a store has lost is demanded by the token.
    const boundTo = session.boundTo ?? command.boundTo
    if (boundTo !== undefined && boundTo !== proof) {
      return { outcome: 'unproven', distance, session: this.#see(session) }
    }
    if (presented < session.generation) {
      // Of generations that a healed session skipped none was issued: the next one that was counts.
      const [, issuedAt = 0] = session.issued.find(([generation]) => generation > presented) ?? []
      if (this.now - issuedAt < graces[grace]) {
        session.boundTo = boundTo
        return { outcome: 'repeated', distance, session: this.#see(session) }
      }
      return { outcome: 'reused', distance, session: this.#end([session])[0] }
    }
    if (content !== undefined && ![sid, content].includes(session.content)) {
      return { outcome: 'changed', session: this.#see(session) }
    }
    // A token ahead of the store says itself when it was handed out.
    if (presented > session.generation) session.issued.push([presented, session.refreshedAt])
    session.generation = presented + 1
    session.refreshedAt = this.now
    session.expiresAt = Math.min(this.now + idleLifetime, session.createdAt + absoluteLifetime)
    session.content = content ?? session.content
    session.boundTo = boundTo
    session.issued.push([session.generation, this.now])
    this.generations.set(sid, session.generation)
    return { outcome: 'rotated', distance, session: this.#see(session) }
  }

  #of (user: User): Session[] {
    return this.#sessions.filter((session) => session.user === user)
  }

  #end (ended: Session[]): Seen[] {
    this.#sessions = this.#sessions.filter((session) => !ended.includes(session))
    return ended.map((session) => this.#see(session))
  }

  #see ({ sid, generation, content, boundTo, createdAt, refreshedAt, expiresAt }: Session): Seen {
    const [created, refreshed, expires, deadline] = [
      createdAt,
      refreshedAt,
      expiresAt,
      createdAt + absoluteLifetime
    ].map((time) => halves(time - this.now)) as [number, number, number, number]
    return { sid, generation, content, boundTo, created, refreshed, expires, deadline }
  }
}

const user = fc.constantFrom<User[]>('ada', 'ada', 'eve')
const number = fc.nat(3)
const maybe = fc.option(number, { nil: undefined, freq: 2 })
const limit = (...limits: number[]) => fc.constantFrom(...limits)
const offset = fc.constantFrom(0, 0, 0, -1, -1, -1, -2, -3, 1)
const texts = fc.option(fc.string({ maxLength: 8 }), { nil: undefined, freq: 2 })

const key = fc.constantFrom<Key[]>(keys[0], keys[0], keys[0], keys[1])
const none = fc.constant(undefined)
// A token that is bound, or was handed out before the binding; with its proof, or another, or none.
const shown: fc.Arbitrary<{ boundTo: Key | undefined, proof: Key | undefined }> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ boundTo: none, proof: none }) },
  { weight: 4, arbitrary: fc.record({ boundTo: none, proof: key }) },
  { weight: 2, arbitrary: key.map((key) => ({ boundTo: key, proof: key })) },
  { weight: 2, arbitrary: fc.record({ boundTo: key, proof: fc.option(key, { nil: undefined }) }) }
)

/** Any command, with logins under one of these limits. */
export const anyCommand = (...limits: number[]): fc.Arbitrary<Command> =>
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        verb: fc.constant('create' as const),
        user,
        maxSessions: limit(...limits)
      })
    },
    {
      weight: 9,
      arbitrary: fc.record({
        verb: fc.constant('rotate' as const),
        user,
        of: number,
        offset,
        grace: fc.constant('short' as const),
        content: texts,
        shown
      }).map(({ shown, ...command }) => ({ ...command, ...shown }))
    },
    {
      weight: 2,
      arbitrary: fc.record({ verb: fc.constant('bind' as const), user, of: number, key })
    },
    {
      weight: 2,
      arbitrary: fc.record({
        verb: fc.constantFrom('find' as const, 'end' as const),
        user,
        of: number
      })
    },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant('list' as const), user }) },
    {
      weight: 1,
      arbitrary: fc.record({
        verb: fc.constant('endAll' as const),
        user,
        except: maybe,
        witness: maybe
      })
    }
  )

/** A step of the clock: within the grace period, past it, or past a lifetime. */
export const step: fc.Arbitrary<Command> = fc.record({
  verb: fc.constant('pass' as const),
  minutes: fc.constantFrom(1, 2, 3, 3, 9, 11)
})
