import type { Finding } from './checker'
import type { Entry, Fault, History } from './history'

const most = 30

function line (entry: Entry, findings: readonly Entry[]): string {
  const { verb, by, node, bound, proven, presented, heard } = entry
  return [
    findings.includes(entry) ? '!' : ' ',
    by === 'thief' ? 'thief:' : '',
    verb,
    presented === undefined ? '' : `generation ${presented.generation}`,
    bound ? proven ? 'with proof' : 'without proof' : '',
    `at node ${node}: ${heard.status} ${heard.code ?? ''}`,
    heard.token === undefined ? '' : `generation ${heard.token.generation}`
  ].filter((part) => part !== '').join(' ')
}

/** Tells what happened to a session up to a finding, fault by fault and request by request. */
export function tell (finding: Finding, { faults, ...history }: History): string {
  const { rule, session, entries } = finding
  const last = Math.max(...entries.map(({ to }) => to))
  const login = history.entries.find((entry) => entry.session === session)
  const own = history.entries.filter((entry) => entry.session === session ||
    entry.replaces === session || (entry.user === login?.user && /All$/.test(entry.verb)))
  const begin = login?.from ?? 0
  const told = [
    ...own.map((entry) => ({ ...entry, text: line(entry, entries) })),
    ...faults.map((fault) => ({ ...fault, text: `  -- ${nameOf(fault)}` }))
  ].filter(({ from, to }) => from <= last && to >= begin)
    .sort((a, b) => a.from - b.from)
    .slice(-most)
  const seconds = (ms: number) => ((ms - begin) / 1000).toFixed(3).padStart(8)
  return [`${rule}: ${session}`,
    ...told.map(({ from, to, text }) => `${seconds(from)} to ${seconds(to)} ${text}`)].join('\n')
}

const nameOf = ({ name, losesWrites }: Fault): string =>
  losesWrites ? `${name}, writes may be lost` : name

/** Names what the nemesis did, and how many seconds it took until all was well. */
export const listFaults = ({ faults }: History): string => faults
  .map((fault) => `${nameOf(fault)} (${((fault.to - fault.from) / 1000).toFixed(1)} s)`)
  .join('; ')

/** Sums up what was done and answered. */
export function summarize ({ setting, entries, faults }: History): string {
  const counts = new Map<string, number>()
  for (const { heard: { status, code } } of entries) {
    const answer = code ?? String(status)
    counts.set(answer, (counts.get(answer) ?? 0) + 1)
  }
  const sessions = new Set(entries.map(({ session }) => session)).size
  const lossy = faults.filter(({ losesWrites }) => losesWrites).length
  return `spent on ${setting.spentOn}${setting.durable ? ', durable' : ''}: ${faults.length} faults` +
    ` (${lossy} with writes that may be lost), ${sessions} sessions, ${entries.length} requests; ` +
    [...counts].sort().map(([answer, count]) => `${count} × ${answer}`).join(', ')
}
