import { object, value } from '../options/schema'
import { judge, present, type Kept } from './presentation'
import type {
  Creation, EndedAll, EndingAll, Listener, Outcome, Rotation, SessionRecord, Store
} from './store'

const isClock = (given: unknown): given is () => number => typeof given === 'function'
const readOptions = object({ now: value(isClock, 'a function', undefined) })

const byAge = (a: SessionRecord, b: SessionRecord): number => a.createdAt - b.createdAt

/**
 * Keeps sessions in this process's memory, for development and tests: they end with the process.
 */
export class MemoryStore implements Store {
  readonly now: () => number
  readonly #users = new Map<string, Map<string, Kept>>()
  readonly #listeners = new Set<Listener>()

  /**
   * @param options.now a clock in ms since the epoch, for tests
   * @default options.now Date.now
   * @throws INVALID_OPTION
   */
  constructor (options: { now?: (() => number) | undefined } = {}) {
    const { now = Date.now } = readOptions(options, 'MemoryStore: options')
    this.now = () => Math.floor(now())
  }

  async create (userTag: string, creation: Creation) {
    const { sid, signer, content, idleLifetime, absoluteLifetime, maxSessions, replaces } = creation
    this.#sweep(userTag)
    const known = this.#get(userTag, sid)
    if (known !== undefined) return { session: known.record, ended: [] }
    const createdAt = this.now()
    const deadline = createdAt + absoluteLifetime
    const expiresAt = Math.min(createdAt + idleLifetime, deadline)
    const times = { createdAt, refreshedAt: createdAt, expiresAt, deadline }
    const session = { sid, generation: 1, ...times, signer, content }
    const living = this.#living(userTag)
    const others = living.filter(({ sid }) => sid !== replaces)
    const excess = others.slice(0, Math.max(0, others.length + 1 - maxSessions))
    const ended = living.filter((one) => one.sid === replaces || excess.includes(one))
    this.#remove(userTag, ended)
    this.#put(userTag, { record: session, marks: [], repeated: false, streak: 0, offered: false })
    return { session, ended }
  }

  async find (userTag: string, sid: string) {
    return this.#get(userTag, sid)?.record
  }

  async list (userTag: string) {
    return this.#living(userTag)
  }

  async rotate (userTag: string, rotation: Rotation): Promise<Outcome> {
    const before = this.#get(userTag, rotation.sid)
    if (before === undefined) return { outcome: 'unknown' }
    const { outcome, kept } = present(before, rotation, this.now())
    if (kept === undefined) this.#remove(userTag, [before.record])
    else this.#put(userTag, kept)
    return outcome
  }

  async update (userTag: string, { sid, from, to }: { sid: string, from: string, to: string }) {
    const kept = this.#get(userTag, sid)
    if (kept?.record.content !== from) return kept?.record
    return this.#change(userTag, kept, { content: to })
  }

  async end (userTag: string, sid: string) {
    const record = this.#get(userTag, sid)?.record
    if (record !== undefined) this.#remove(userTag, [record])
    return record
  }

  async endAll (userTag: string, { except, witness }: EndingAll): Promise<EndedAll> {
    const kept = witness === undefined ? undefined : this.#get(userTag, witness.sid)
    if (witness !== undefined && kept === undefined) return { outcome: 'unknown' }
    if (kept !== undefined && witness !== undefined && 'generation' in witness) {
      const { outcome, ...verdict } = judge(kept, witness, this.now())
      if (outcome === 'reused') this.#remove(userTag, [kept.record])
      if (outcome === 'reused' || outcome === 'unproven') return { outcome, ...verdict }
    }
    const ended = this.#living(userTag).filter(({ sid }) => sid !== except)
    this.#remove(userTag, ended)
    return { outcome: 'done', ended }
  }

  async bind (userTag: string, { sid, boundTo }: { sid: string, boundTo: string }) {
    const kept = this.#get(userTag, sid)
    if (kept !== undefined && kept.record.boundTo === undefined) {
      this.#change(userTag, kept, { boundTo })
    }
    return kept?.record
  }

  listen (listener: Listener) {
    this.#listeners.add(listener)
    listener.listening()
    return () => { this.#listeners.delete(listener) }
  }

  #get (userTag: string, sid: string): Kept | undefined {
    const kept = this.#users.get(userTag)?.get(sid)
    return kept !== undefined && kept.record.expiresAt > this.now() ? kept : undefined
  }

  #living (userTag: string): SessionRecord[] {
    const records = [...this.#users.get(userTag)?.values() ?? []].map(({ record }) => record)
    return records.filter(({ expiresAt }) => expiresAt > this.now()).sort(byAge)
  }

  #change (userTag: string, kept: Kept, change: Partial<SessionRecord>): SessionRecord {
    const record = { ...kept.record, ...change }
    this.#put(userTag, { ...kept, record })
    return record
  }

  // The user touched last stands last: #sweep begins with those untouched longest.
  #put (userTag: string, kept: Kept): void {
    const sessions = this.#users.get(userTag) ?? new Map<string, Kept>()
    this.#users.delete(userTag)
    this.#users.set(userTag, sessions.set(kept.record.sid, kept))
  }

  #remove (userTag: string, records: SessionRecord[]): void {
    const sessions = this.#users.get(userTag)
    for (const { sid } of records) {
      sessions?.delete(sid)
      for (const { ended } of this.#listeners) ended(sid)
    }
    if (sessions?.size === 0) this.#users.delete(userTag)
  }

  // Each login removes what has run out of its own user, and of the two that were looked at or
  // touched longest ago: that cannot outgrow the living.
  #sweep (own: string): void {
    const now = this.now()
    const [first = own, second = own] = this.#users.keys()
    for (const userTag of [first, second, own]) {
      const sessions = this.#users.get(userTag) ?? new Map<string, Kept>()
      for (const [sid, { record }] of sessions) if (record.expiresAt <= now) sessions.delete(sid)
      this.#users.delete(userTag)
      if (sessions.size > 0) this.#users.set(userTag, sessions)
    }
  }
}
