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
const deployments = {
  'a Cluster of three masters and their replicas': { start: startCluster, seed: 1 },
  'a master and its replica, watched by Sentinel': { start: startSentinel, seed: 2 }
}

t.setTimeout(soak * 240_000)
// Both at once: most of their time they wait.
t.jobs = Object.keys(deployments).length
for (let round = 0; round < soak; round++) {
  for (const [title, { start, seed: fixed }] of Object.entries(deployments)) {
    // CI does the same each time; FAULTS_SEED repeats what has failed in a soak.
    const seed = Number(process.env['FAULTS_SEED'] ?? (soak === 1 ? fixed : randomInt(2 ** 32)))
    t.test(`whatever goes wrong, nothing forbidden happens: ${title}, FAULTS_SEED=${seed}`, {
      buffered: true,
      timeout: 240_000
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
