import type { HandedOut, Presentation, SessionRecord } from './store'

/** What a store of its own making keeps of a session beside its record. */
export interface History {
  /** When generations before the present one were handed out, the oldest first; only in a burst. */
  readonly marks: readonly HandedOut[]
  /** Whether a repeat came in this generation. */
  readonly repeated: boolean
  /** In how many generations running repeats came, up to the last one with a repeat. */
  readonly streak: number
  /** Whether an offer of the next generation was handed out. */
  readonly offered: boolean
}

/** The highest generation that a store keeps; a session that would pass it ends. */
export const lastGeneration = 2 ** 24 - 1

/** Returns what presenting a token comes to, at `age` ms since the session's creation. */
export function judge (session: SessionRecord, { marks }: History, token: Presentation, age: number) {
  const refreshed = session.refreshedAt - session.createdAt
  const boundTo = session.boundTo ?? token.boundTo
  const ahead = token.generation - session.generation
  if (boundTo !== undefined && boundTo !== token.proof) return 'unproven'
  if (ahead > 0 || (ahead === 0 && token.spentOn === 'issue')) return 'rotated'
  if (ahead === 0) {
    const apart = Math.abs(token.handedOutAt - refreshed)
    return apart === 0 || apart < token.gracePeriod ? 'offered' : 'reused'
  }
  const spentAt = ahead === -1 ? refreshed : marks.slice(1).find(({ generation }) => generation > token.generation)?.at
  // The first mark stands for all before it.
  if (spentAt === undefined || (ahead < -1 && token.generation < (marks[0]?.generation ?? 0))) return 'reused'
  return Math.max(age - spentAt, 0) < token.gracePeriod ? 'repeated' : 'reused'
}

/** Returns the marks of a session whose generation `spent`, handed out at `at`, has just been followed by the next. */
export function addMark (
  marks: readonly HandedOut[], generation: number, spent: HandedOut, gracePeriod: number
): readonly HandedOut[] {
  const last = marks.at(-1)
  if (last?.generation !== generation - 1) return [{ generation: generation - 1, at: 0 }, spent]
  const eighth = gracePeriod / 8
  const together = marks.length > 1 && Math.floor(last.at / eighth) === Math.floor(spent.at / eighth)
  if (!together) return [...marks.slice(-9), spent]
  return [...marks.slice(0, -1), { ...spent, at: Math.max(last.at, spent.at) }]
}
