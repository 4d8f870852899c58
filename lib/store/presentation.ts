import type { HandedOut, Outcome, Presentation, Rotation, SessionRecord, Verdict } from './store'

/** A session, and what a store keeps of it beside its record. */
export interface Kept {
  readonly record: SessionRecord
  /** When generations before the present one were handed out, oldest first; only in a burst. */
  readonly marks: readonly HandedOut[]
  /** Whether a repeat came in this generation. */
  readonly repeated: boolean
  /** In how many generations running repeats came, up to the last one with a repeat. */
  readonly streak: number
  /** Whether an offer of the next generation was handed out. */
  readonly offered: boolean
}

/** What presenting a token came to, and the session as it is then: `undefined` if it has ended. */
export interface Presented {
  outcome: Outcome
  kept: Kept | undefined
}

type Name = Exclude<Outcome['outcome'], 'changed' | 'unknown'>

/** The highest generation, of three bytes in Redis; a session that would pass it ends. */
export const lastGeneration = 2 ** 24 - 1
const longestStreak = 15

/** Judges a refresh token at a moment, in ms since the epoch, and changes nothing. */
export function judge (kept: Kept, token: Presentation, now: number): Verdict & { outcome: Name } {
  const session = kept.record
  const distance = Math.abs(token.generation - session.generation)
  const msSinceRotation = now - session.refreshedAt
  return { outcome: find(kept, token, now), session, distance, msSinceRotation, streak: 0 }
}

/** Presents a refresh token at a moment, in ms since the epoch. */
export function present (kept: Kept, token: Rotation, now: number): Presented {
  const { outcome, ...verdict } = judge(kept, token, now)
  if (outcome === 'unproven') return { outcome: { outcome, ...verdict }, kept }
  if (outcome === 'reused') return { outcome: { outcome, ...verdict }, kept: undefined }

  const { boundTo, generation } = token
  const isNew = kept.record.boundTo === undefined && boundTo !== undefined
  const session = isNew ? { ...kept.record, boundTo } : kept.record
  if (outcome === 'repeated') {
    const streak = kept.repeated ? kept.streak : Math.min(kept.streak + 1, longestStreak)
    const next = { generation: session.generation, at: session.refreshedAt - session.createdAt }
    const changed = { ...kept, record: session, repeated: true, streak }
    return { outcome: { outcome, ...verdict, session, streak, next }, kept: changed }
  }
  if (generation >= lastGeneration) return { outcome: { outcome: 'unknown' }, kept: undefined }

  const { content } = token
  if (content !== undefined && !Object.values(content).includes(session.content)) {
    return { outcome: { outcome: 'changed', session: kept.record }, kept }
  }

  const record = { ...session, ...renew(session, token, now) }
  const next = { generation: generation + 1, at: now - record.createdAt }
  const offered = token.spentOn === 'use'
  if (outcome === 'offered') {
    const changed = { ...kept, record, offered }
    return { outcome: { outcome, ...verdict, session: record, next }, kept: changed }
  }
  const current = offered ? { generation, at: token.handedOutAt } : next
  const refreshedAt = record.createdAt + current.at
  const rotated = { ...record, generation: current.generation, refreshedAt }
  // An offer that is taken after a change back to `issue` is no lost write.
  const taken = kept.offered && !offered && verdict.distance > 0
  const distance = taken ? verdict.distance - 1 : verdict.distance
  const marks = mark(kept, current.generation - 1, token, now)
  const streak = kept.repeated ? kept.streak : 0
  const changed = { record: rotated, marks, repeated: false, streak, offered }
  return { outcome: { outcome, ...verdict, session: rotated, distance, next }, kept: changed }
}

function find ({ record, marks }: Kept, token: Presentation, now: number): Name {
  const { generation, createdAt, refreshedAt } = record
  const boundTo = record.boundTo ?? token.boundTo
  if (boundTo !== undefined && boundTo !== token.proof) return 'unproven'
  const ahead = token.generation - generation
  if (ahead > 0 || (ahead === 0 && token.spentOn === 'issue')) return 'rotated'
  if (ahead === 0) {
    const apart = Math.abs(createdAt + token.handedOutAt - refreshedAt)
    return apart === 0 || apart < token.gracePeriod ? 'offered' : 'reused'
  }
  const spentAt = ahead === -1 ? refreshedAt : createdAt + findSpent(marks, token.generation)
  // It is in the future if the clock has stepped back.
  return Math.max(now - spentAt, 0) < token.gracePeriod ? 'repeated' : 'reused'
}

// A mark stands for its generation and those since the mark before; the first for all before it.
function findSpent (marks: readonly HandedOut[], generation: number): number {
  const [first] = marks
  if (first === undefined || generation < first.generation) return -Infinity
  return marks.find((mark) => mark.generation > generation)?.at ?? -Infinity
}

function renew ({ content, deadline }: SessionRecord, token: Rotation, now: number) {
  const expiresAt = Math.min(now + token.idleLifetime, deadline)
  return { signer: token.signer, content: token.content?.to ?? content, expiresAt }
}

// The marks of a session when the generation `spent` is followed by the next. Of a token that is
// ahead two are marked: the last generation that is known, and what the token spends.
function mark ({ record, marks }: Kept, spent: number, token: Rotation, now: number) {
  const { generation, createdAt, refreshedAt } = record
  const { gracePeriod, handedOutAt } = token
  const known = { generation, at: refreshedAt - createdAt }
  const isPast = ({ at }: HandedOut) => Math.max(now - createdAt - at, 0) >= 1.125 * gracePeriod
  const marked = isPast(known) ? marks : add(marks, generation - 1, known, gracePeriod / 8)
  const last = { generation: spent, at: handedOutAt }
  return spent === generation || isPast(last)
    ? marked
    : add(marked, generation, last, gracePeriod / 8)
}

// Adds a mark; if the one of the generation `before` is not there, a burst begins.
function add (
  marks: readonly HandedOut[], before: number, { generation, at }: HandedOut, eighth: number
) {
  const last = marks.at(-1)
  if (last?.generation !== before) return [{ generation: before, at: 0 }, { generation, at }]
  const eighthOf = (time: number): number => Math.floor(time / eighth)
  if (eighthOf(last.at) !== eighthOf(at)) return [...marks.slice(-9), { generation, at }]
  return [...marks.slice(0, -1), { generation, at: Math.max(last.at, at) }]
}
