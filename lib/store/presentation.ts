import type { HandedOut, Outcome, Presentation, Rotation, SessionRecord, Verdict } from './store'

/** A session, and what a store keeps of it beside its record. */
export interface Kept {
  readonly record: SessionRecord
  /** When generations before the present one were handed out, the oldest first; only in a burst. */
  readonly marks: readonly HandedOut[]
  /** Whether a repeat came in this generation. */
  readonly repeated: boolean
  /** In how many generations running repeats came, up to the last one with a repeat. */
  readonly streak: number
  /** Whether an offer of the next generation was handed out. */
  readonly offered: boolean
}

/** The highest generation; a session that would pass it ends. */
const lastGeneration = 2 ** 24 - 1
const longestStreak = 31

/** What a token is found to be. */
type Found = Verdict & { outcome: Exclude<Outcome['outcome'], 'unknown'> }

/** Judges a refresh token at a moment, in ms since the epoch, and changes nothing. */
export function judge (kept: Kept, token: Presentation, now: number): Found {
  const session = kept.record
  const { generation, refreshedAt } = session
  const distance = Math.abs(token.generation - generation)
  return { outcome: find(kept, token, now), session, distance, msSinceRotation: now - refreshedAt, streak: 0 }
}

function find ({ record, marks }: Kept, token: Presentation, now: number): Found['outcome'] {
  const { generation, createdAt, refreshedAt } = record
  const boundTo = record.boundTo ?? token.boundTo
  if (boundTo !== undefined && boundTo !== token.proof) return 'unproven'
  const ahead = token.generation - generation
  if (ahead > 0 || (ahead === 0 && token.spentOn === 'issue')) return 'rotated'
  if (ahead === 0) {
    const apart = Math.abs(createdAt + token.handedOutAt - refreshedAt)
    return apart === 0 || apart < token.gracePeriod ? 'offered' : 'reused'
  }
  const msSinceSpent = now - (ahead === -1 ? refreshedAt : createdAt + spentAt(marks, token.generation))
  // It is negative if the clock has stepped back.
  return Math.max(msSinceSpent, 0) < token.gracePeriod ? 'repeated' : 'reused'
}

// A mark stands for its generation and those between it and the mark before; the first for all that are past.
function spentAt (marks: readonly HandedOut[], generation: number): number {
  const [first] = marks
  if (first === undefined || generation < first.generation) return -Infinity
  return marks.find((mark) => mark.generation > generation)?.at ?? -Infinity
}

/** Presents a refresh token; returns what it comes to, and the session as it is then: `undefined` if it has ended. */
export function present (kept: Kept, token: Rotation, now: number): { outcome: Outcome, kept: Kept | undefined } {
  const { outcome, session, ...verdict } = judge(kept, token, now)
  if (outcome === 'unproven') return { outcome: { outcome, session, ...verdict }, kept }
  if (outcome === 'reused') return { outcome: { outcome, session, ...verdict }, kept: undefined }

  const bound = session.boundTo === undefined && token.boundTo !== undefined
  const record = bound ? { ...session, boundTo: token.boundTo } : session
  if (outcome === 'repeated') {
    const streak = kept.repeated ? kept.streak : Math.min(kept.streak + 1, longestStreak)
    const next = { generation: record.generation, at: record.refreshedAt - record.createdAt }
    return { outcome: { outcome, session: record, ...verdict, streak, next }, kept: { ...kept, record, repeated: true, streak } }
  }
  if (token.generation >= lastGeneration) return { outcome: { outcome: 'unknown' }, kept: undefined }

  const { signer, content = record.content, idleLifetime, generation, handedOutAt, spentOn } = token
  const changed = { ...record, signer, content, expiresAt: Math.min(now + idleLifetime, record.deadline) }
  const next = { generation: generation + 1, at: now - record.createdAt }
  const offered = spentOn === 'use'
  if (outcome === 'offered') {
    return { outcome: { outcome, session: changed, ...verdict, next }, kept: { ...kept, record: changed, offered } }
  }
  const current = spentOn === 'use' ? { generation, at: handedOutAt } : next
  const rotated = { ...changed, generation: current.generation, refreshedAt: record.createdAt + current.at }
  // An offer that is taken when tokens are spent on issue again is no lost write.
  const distance = verdict.distance - (kept.offered && spentOn === 'issue' && verdict.distance > 0 ? 1 : 0)
  const marks = mark(kept, current.generation - 1, token, now)
  const streak = kept.repeated ? kept.streak : 0
  return {
    outcome: { outcome, session: rotated, ...verdict, distance, next },
    kept: { record: rotated, marks, repeated: false, streak, offered }
  }
}

// The marks of a session when the generation `spent` is followed by the next.
function mark ({ record, marks }: Kept, spent: number, token: Rotation, now: number): readonly HandedOut[] {
  const { gracePeriod, handedOutAt } = token
  const at = spent === record.generation ? record.refreshedAt - record.createdAt : handedOutAt
  if (Math.max(now - record.createdAt - at, 0) >= 1.125 * gracePeriod) return marks
  const last = marks.at(-1)
  if (last?.generation !== record.generation - 1) {
    return [{ generation: record.generation - 1, at: 0 }, { generation: spent, at }]
  }
  const eighth = gracePeriod / 8
  if (Math.floor(last.at / eighth) !== Math.floor(at / eighth)) return [...marks.slice(-9), { generation: spent, at }]
  return [...marks.slice(0, -1), { generation: spent, at: Math.max(last.at, at) }]
}
