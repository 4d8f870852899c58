import type { Creation, Ending, Listener, Outcome, Rotation, SessionRecord, Store } from './store'

const byAge = (a: SessionRecord, b: SessionRecord) => a.createdAt - b.createdAt

/** Keeps sessions in this process's memory, for development and tests: they end with the process. */
export class MemoryStore implements Store {
  readonly now: () => number
  readonly #users = new Map<string, Map<string, SessionRecord>>()
  readonly #listeners = new Set<Listener>()

  /** @param options.now a clock in ms since the epoch, for tests */
  constructor ({ now = Date.now }: { now?: () => number } = {}) {
    this.now = now
  }

  async create (user: string, { sid, signer, text, idleLifetime, absoluteLifetime, maxSessions }: Creation) {
    this.#sweep()
    const known = this.#get(user, sid)
    if (known !== undefined) return { session: known, ended: [] }
    const now = this.now()
    const deadline = now + absoluteLifetime
    const expiresAt = Math.min(now + idleLifetime, deadline)
    const session = { sid, generation: 1, createdAt: now, refreshedAt: now, expiresAt, deadline, signer, text }
    const live = this.#live(user)
    const ended = live.slice(0, Math.max(0, live.length + 1 - maxSessions))
    for (const { sid } of ended) this.#remove(user, sid)
    this.#put(user, session)
    return { session, ended }
  }

  async find (user: string, sid: string) {
    return this.#get(user, sid)
  }

  async list (user: string) {
    return this.#live(user)
  }

  async rotate (user: string, { sid, generation, signer, text, idleLifetime, gracePeriod }: Rotation): Promise<Outcome> {
    const session = this.#get(user, sid)
    if (session === undefined) return { outcome: 'unknown' }
    const now = this.now()
    const msSinceRotation = now - session.refreshedAt
    const distance = Math.abs(generation - session.generation)
    if (generation < session.generation) {
      if (distance === 1 && Math.max(msSinceRotation, 0) < gracePeriod) return { outcome: 'repeated', session, distance, msSinceRotation }
      this.#remove(user, sid)
      return { outcome: 'reused', session, distance, msSinceRotation }
    }
    const rotated = {
      ...session,
      generation: generation + 1,
      refreshedAt: now,
      expiresAt: Math.min(now + idleLifetime, session.deadline),
      signer,
      text: text ?? session.text
    }
    this.#put(user, rotated)
    return { outcome: 'rotated', session: rotated, distance, msSinceRotation }
  }

  async end (user: string, sid: string) {
    const session = this.#get(user, sid)
    if (session !== undefined) this.#remove(user, sid)
    return session
  }

  async endAll (user: string, { except, witness }: Ending) {
    if (witness !== undefined && this.#get(user, witness) === undefined) return []
    const ended = this.#live(user).filter(({ sid }) => sid !== except)
    for (const { sid } of ended) this.#remove(user, sid)
    return ended
  }

  listen (listener: Listener) {
    this.#listeners.add(listener)
    listener.listening()
    return () => { this.#listeners.delete(listener) }
  }

  #get (user: string, sid: string): SessionRecord | undefined {
    const session = this.#users.get(user)?.get(sid)
    return session !== undefined && session.expiresAt > this.now() ? session : undefined
  }

  #live (user: string): SessionRecord[] {
    const now = this.now()
    return [...this.#users.get(user)?.values() ?? []].filter(({ expiresAt }) => expiresAt > now).sort(byAge)
  }

  // The user touched last stands last, so that #sweep meets the longest untouched ones first.
  #put (user: string, session: SessionRecord): void {
    const sessions = this.#users.get(user) ?? new Map<string, SessionRecord>()
    this.#users.delete(user)
    this.#users.set(user, sessions.set(session.sid, session))
  }

  #remove (user: string, sid: string): void {
    const sessions = this.#users.get(user)
    if (sessions?.delete(sid) === true && sessions.size === 0) this.#users.delete(user)
    for (const { ended } of this.#listeners) ended(sid)
  }

  // Each login clears away two users whose sessions have all run out: garbage cannot outgrow the living.
  #sweep (): void {
    const now = this.now()
    let looks = 2
    for (const [user, sessions] of this.#users) {
      if (looks-- === 0 || [...sessions.values()].some(({ expiresAt }) => expiresAt > now)) return
      this.#users.delete(user)
    }
  }
}
