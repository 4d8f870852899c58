import { findAtRest } from './at-rest'
import { overlap, stepOf, storeTimeout, type Entry, type History } from './history'
import { livesOf, type Life } from './life'

/** A forbidden outcome, and the entries that show it. */
export interface Finding {
  rule: string
  session: string
  entries: Entry[]
}

type Rule = (life: Life, history: History) => Entry[][]

// All in ms. What an ending takes to every node on a busy machine; in what time a node notices that
// it is not told of endings; how long after a fault what is held back may still arrive; how soon a
// session must go on.
const push = 1_500
const notice = 2_500
const rest = 1_000
export const resumption = 15_000
/** How often a client must have tried, which it does in that time on the busiest machine. */
const fewest = 5

const isUnavailable = ({ heard: { status } }: Entry): boolean => status === 'lost' || status === 503
const letIn = ({ heard }: Entry): boolean => heard.status === 200
const isRefresh = ({ verb }: Entry): boolean => verb === 'refresh'
const asksStore = ({ verb }: Entry): boolean => verb === 'refresh' || verb === 'live'

/**
 * Returns whether a guard can have waited for a store that did not answer: then it lets in whom it
 * does not know to be over.
 */
const waited = ({ from, to }: Entry): boolean => to - from >= storeTimeout

/** Returns whether the node that was asked heard which sessions end. */
function canHear ({ faults, hearing }: History, { node, from, to }: Entry): boolean {
  const own = hearing.filter((change) => change.node === node)
  const around = { from: from - rest, to }
  const deaf = own.some(({ at, hears }) => !hears && at > from && at < to + notice) ||
    faults.some((fault) => fault.deafens?.includes(node) && overlap(fault, around))
  return !deaf && own.findLast(({ at }) => at <= from)?.hears === true
}

/** What must never happen to a session. */
const rules: Record<string, Rule> = {
  'an ended session was let in': (life) => life.endings
    .filter(({ entry, sure, confirmed }) => sure && (confirmed || !life.mayBeLost(entry)))
    .flatMap(({ entry: ending }) => life.entries
      .filter((entry) => asksStore(entry) && letIn(entry) && entry.from > ending.to)
      .map((entry) => [ending, entry])),

  'an ended session was let in by the guard': (life, history) => life.endings
    .filter(({ entry, sure }) => sure && !life.mayBeLost(entry))
    .flatMap(({ entry: ending }) => life.entries
      .filter((entry) => entry.verb === 'guard' && letIn(entry) &&
        entry.from > ending.to + push && canHear(history, entry) && !waited(entry))
      .map((entry) => [ending, entry])),

  'a living session was refused': (life, history) => life.entries
    .filter((entry) => entry.by === 'owner' && isRefused(entry, history))
    .filter((entry) => life.whyOver(entry) === undefined)
    .map((entry) => [entry]),

  'a spent token was let in': (life, history) => {
    const { setting } = history
    const grace = setting.gracePeriod * 1.125 + stepOf(history)
    return life.entries.filter((entry) => isRefresh(entry) && letIn(entry)).flatMap((entry) => {
      const spent = life.entries.find((other) => spends(other, entry, setting.spentOn) &&
        entry.from > other.to + grace && !life.mayBeLost(other))
      return spent === undefined ? [] : [[spent, entry]]
    })
  },

  'two copies of a token were let in': (life, history) => {
    const { setting } = history
    if (setting.spentOn === 'issue') return []
    const grace = setting.gracePeriod + stepOf(history)
    const source = ({ presented }: Entry) =>
      life.entries.find(({ heard }) => heard.token?.text === presented?.text)
    const used = life.entries.filter((entry) => isRefresh(entry) && letIn(entry))
    return used.flatMap((entry) => used
      .filter((other) => other.to < entry.from && !life.mayBeLost(other) &&
        other.presented?.generation === entry.presented?.generation &&
        areApart(source(other), source(entry), grace))
      .map((other) => [other, entry]))
  },

  'two tokens of one generation were handed out': (life, { setting }) => {
    if (setting.spentOn === 'use') return []
    const first = new Map<number, Entry>()
    return life.entries.flatMap((entry) => {
      const { token } = entry.heard
      // Of a session that seems to be older, tokens end earlier.
      if (token === undefined || life.mayBeLost(entry) || life.hasWrongTime(entry)) return []
      const other = first.get(token.generation)
      first.set(token.generation, other ?? entry)
      return other === undefined || other.heard.token?.text === token.text ? [] : [[other, entry]]
    })
  },

  'a bound session was let in without proof': (life) => life.entries
    .filter((entry) => entry.bound && !entry.proven && letIn(entry))
    .map((entry) => [entry]),

  'an answer was about another session': (life) => life.entries
    .filter(({ heard }) => heard.session !== undefined && heard.session !== life.session)
    .map((entry) => [entry]),

  'a session did not go on after a fault': (life, { faults, end }) => faults
    .filter(({ to }) => life.login.to < to && to + resumption < end)
    .flatMap(({ to }) => {
      const tries = life.entries.filter((entry) => entry.by === 'owner' && isRefresh(entry) &&
        !entry.left && entry.from >= to && entry.to <= to + resumption)
      // Whoever has given up, or was told that it is over, is another rule's.
      const last = tries.findLast(({ from }) => from > to + resumption * 2 / 3)
      return last !== undefined && tries.length >= fewest && tries.every(isUnavailable)
        ? [[last]]
        : []
    })
}

// A token is spent when its successor is issued, or with 'use' when that comes back.
function spends (other: Entry, { presented }: Entry, spentOn: 'issue' | 'use'): boolean {
  const next = spentOn === 'issue' ? other.heard.token : other.presented
  return isRefresh(other) && letIn(other) &&
    Number(next?.generation) > Number(presented?.generation)
}

function areApart (a: Entry | undefined, b: Entry | undefined, ms: number): boolean {
  return a !== undefined && b !== undefined && (b.from - a.to >= ms || a.from - b.to >= ms)
}

function isRefused (entry: Entry, { faults, entries }: History): boolean {
  const { status, code } = entry.heard
  if (status === 'lost' || status < 400 || status === 503 || code === 'DPOP_NONCE_REQUIRED') {
    return false
  }
  if (code !== 'ACCESS_TOKEN_EXPIRED') return true
  // An application whose clock is set forward, or back to what it was, takes access tokens for
  // expired, until it hears of Redis.
  const hears = (from: number) => Math.min(...entries
    .filter((other) => other.node === entry.node && isRefresh(other) && letIn(other) &&
      other.from >= from)
    .map(({ to }) => to))
  return !faults.some(({ stepsClock, from, to }) =>
    stepsClock && overlap({ from, to: Math.max(to, hears(to)) }, entry))
}

/** Reads a history, and returns everything in it that must never happen. */
export function findForbidden (history: History): Finding[] {
  const findings = livesOf(history).flatMap((life) => {
    return Object.entries(rules).flatMap(([rule, apply]) => apply(life, history)
      .map((entries) => ({ rule, session: life.session, entries })))
  })
  const faulty = history.entries.filter(({ heard: { status } }) =>
    typeof status === 'number' && ![200, 202, 204, 400, 401, 503].includes(status))
  return [
    ...findings,
    ...faulty.map((entry) => ({ rule: 'an error', session: entry.session, entries: [entry] })),
    ...findAtRest(history)
  ]
}
