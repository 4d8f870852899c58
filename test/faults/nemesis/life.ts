import { overlap, stepOf, type Entry, type Fault, type History } from './history'

/** How much later than its answer a request may still take effect, once no fault holds it back. */
const settling = 2_000
/** What the clocks of Redis and of this process may differ by within one grace period. */
const jitter = 100

/** An entry that ended a session, or may have. */
export interface Ending {
  entry: Entry
  /** Whether it says that the session has ended. */
  sure: boolean
  /** Whether replicas have confirmed it. */
  confirmed: boolean
}

/** Returns the life of every session, from its login on. */
export function livesOf (history: History): Life[] {
  const byUser = new Map<string, Entry[]>()
  for (const entry of history.entries) {
    const own = byUser.get(entry.user) ?? []
    byUser.set(entry.user, own)
    own.push(entry)
  }
  return [...byUser.values()].flatMap((entries) => {
    entries.sort((a, b) => a.from - b.from)
    return entries.filter(({ verb, heard }) => verb === 'login' && heard.status === 200)
      .map((login) => new Life(history, login, entries))
  })
}

/** One session, from its login on, with all that may have ended it. */
export class Life {
  readonly login: Entry
  readonly session: string
  /** What was asked in its name, in the order of asking. */
  readonly entries: Entry[]
  readonly endings: Ending[]
  readonly #history: History

  constructor (history: History, login: Entry, entries: readonly Entry[]) {
    this.#history = history
    this.login = login
    this.session = login.session
    this.entries = entries.filter(({ session }) => session === this.session)
    this.endings = entries.flatMap((entry) => this.#endingBy(entry) ?? [])
  }

  /** Returns whether what this entry wrote may be lost with a server that was replaced. */
  mayBeLost (entry: Entry): boolean {
    return this.#faultsAround(entry).some(({ losesWrites }) => losesWrites === true)
  }

  /** Returns whether the clock of Redis was wrong when this entry was answered. */
  hasWrongTime (entry: Entry): boolean {
    return this.#faultsAround(entry).some(({ stepsRedis }) => stepsRedis !== undefined)
  }

  /** Returns why the session may be over when this entry was answered; `undefined`: it lives. */
  whyOver (at: Entry): string | undefined {
    if (this.mayBeLost(this.login)) return 'its login may be lost'
    const before = (entry: Entry) => entry !== at && entry.from < at.to
    for (const { entry, sure } of this.endings) {
      if (before(entry) && (sure || !this.#livesAfter(entry, at))) return `a ${entry.verb}`
    }
    for (const entry of this.entries) {
      if (entry.by === 'thief' && !entry.bound && before(entry)) return 'a thief'
      if (entry.from < at.to && this.#isLate(entry)) return 'a repeat past the grace period'
    }
    return undefined
  }

  // What a user is told did not happen does not happen later.
  #livesAfter (attempt: Entry, at: Entry): boolean {
    const settled = this.#settled(attempt)
    return this.entries.some((entry) => entry.verb === 'refresh' && entry.heard.status === 200 &&
      entry.from > settled && entry.to < at.from && !this.mayBeLost(entry))
  }

  // With 'issue' a token that is presented again past the grace period is reuse, also if all
  // answers before were lost.
  #isLate (entry: Entry): boolean {
    const { spentOn, gracePeriod } = this.#history.setting
    const { presented } = entry
    if (spentOn === 'use' || presented === undefined) return false
    const first = this.entries.find((other) => other.presented?.text === presented.text)
    const least = gracePeriod - jitter - stepOf(this.#history)
    return first !== undefined && this.#settled(entry) - first.from > least
  }

  // The moment after which an entry takes no effect any more.
  #settled (entry: Entry): number {
    if (entry.heard.status !== 'lost') return entry.to
    return Math.max(entry.to, ...this.#faultsAround(entry).map(({ to }) => to)) + settling
  }

  #faultsAround (entry: Entry): Fault[] {
    return this.#history.faults.filter((fault) => overlap(fault, entry))
  }

  #endingBy (entry: Entry): Ending | undefined {
    if (!this.#isMeantBy(entry)) return undefined
    const { status, code } = entry.heard
    const confirmed = this.#history.setting.durable && entry.verb !== 'login' &&
      (status === 200 || status === 204)
    if (code === 'REFRESH_TOKEN_REUSED' && entry.session === this.session) {
      return { entry, sure: true, confirmed: false }
    }
    if (entry.verb === 'refresh' || status === 400 || status === 401) return undefined
    const done = status !== 'lost' && status < 300
    // One that asks for all sessions while another is opened may have come too early for it.
    const inTime = entry.session === this.session || this.login.to < entry.from
    const sure = inTime && (done || code === 'ENDING_UNCONFIRMED')
    return { entry, sure, confirmed: confirmed && sure }
  }

  #isMeantBy ({ verb, user, session, replaces, to }: Entry): boolean {
    if (verb === 'login') return replaces === this.session
    if (verb === 'logoutAll' || verb === 'revokeAll') {
      return user === this.login.user && to > this.login.from
    }
    return session === this.session && verb !== 'guard' && verb !== 'live'
  }
}
