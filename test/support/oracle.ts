import type { HandedOut, Presentation } from '../../lib/store/store'

/** What presenting a token must come to; `next` is the token that is handed out. */
export interface Verdict {
  outcome: 'rotated' | 'offered' | 'repeated' | 'reused' | 'unknown'
  next?: HandedOut
}

/**
 * The contract's two tables, word by word, on a full history: it forgets nothing and rounds
 * nothing. Times are in ms since the login. An oracle is never changed.
 */
export class Oracle {
  readonly #alive: boolean
  /** The generation that is current, and when its copy was handed out. */
  readonly #current: HandedOut
  /** When each generation was issued; of those that were offered, the copy that was taken. */
  readonly #issued: ReadonlyMap<number, number>

  constructor (
    current = { generation: 1, at: 0 }, issued: ReadonlyMap<number, number> = new Map([[1, 0]]),
    alive = true
  ) {
    this.#alive = alive
    this.#current = current
    this.#issued = issued
  }

  present (
    { generation, at }: HandedOut, { spentOn, gracePeriod }: Presentation, now: number
  ): [Verdict, Oracle] {
    if (!this.#alive) return [{ outcome: 'unknown' }, this]
    const use = spentOn === 'use'
    const ahead = generation - this.#current.generation
    if (ahead < 0) {
      // Of generations whose write was lost none is known: the next one that is known counts.
      const later = [...this.#issued.keys()].filter((issued) => issued > generation)
      const since = now - (this.#issued.get(Math.min(...later)) ?? -Infinity)
      if (since < gracePeriod) return [{ outcome: 'repeated', next: this.#current }, this]
      return this.#end()
    }
    if (use && ahead === 0) {
      const apart = Math.abs(at - this.#current.at)
      if (apart > 0 && apart >= gracePeriod) return this.#end()
      return [{ outcome: 'offered', next: { generation: generation + 1, at: now } }, this]
    }
    const next = { generation: generation + 1, at: now }
    const current = use ? { generation, at } : next
    // A token ahead of the store says itself when it was handed out.
    const issued = new Map(this.#issued).set(generation, ahead > 0 ? at : this.#current.at)
    issued.set(current.generation, current.at)
    return [{ outcome: 'rotated', next }, new Oracle(current, issued)]
  }

  #end (): [Verdict, Oracle] {
    return [{ outcome: 'reused' }, new Oracle(this.#current, this.#issued, false)]
  }
}
