import { randomInt } from 'node:crypto'
import t from 'tap'
import { findForbidden } from './nemesis/checker'
import { startCluster } from './nemesis/cluster'
import type { History } from './nemesis/history'
import { listFaults, summarize, tell } from './nemesis/report'
import { run } from './nemesis/run'
import { startSentinel } from './nemesis/sentinel'
import { soak } from './soak'

const seconds = 40

/** Each round has its seed: those of CI are fixed, and FAULTS_SEED repeats one. */
function seeds (fixed: number): number[] {
  const given = process.env['FAULTS_SEED']
  if (given !== undefined) return [Number(given)]
  return soak === 1 ? [fixed] : Array.from({ length: soak }, () => randomInt(2 ** 32))
}

const deployments = {
  'a Cluster of three masters and their replicas': [startCluster, 1],
  'a master and its replica, watched by Sentinel': [startSentinel, 2]
} as const

t.setTimeout(soak * 240_000)
for (const [title, [start, fixed]] of Object.entries(deployments)) {
  for (const seed of seeds(fixed)) {
    t.test(`whatever goes wrong, nothing forbidden happens: ${title}, FAULTS_SEED=${seed}`, {
      timeout: 120_000
    }, async (t) => {
      const histories = await run(start, seed, seconds)
      t.comment(listFaults(histories[0] as History))
      for (const history of histories) {
        t.comment(summarize(history))
        const findings = findForbidden(history)
        t.equal(findings.slice(0, 3).map((finding) => tell(finding, history)).join('\n\n'), '')
        t.ok(history.entries.length > 500)
      }
    })
  }
}
