import t from 'tap'
import { experiment } from './experiment'
import { soak } from './soak'

const lossy = { loss: 0.05, duplicated: 0.02, delay: 150, offline: 0, outage: 0 }
const mobile = { ...lossy, offline: 0.02, outage: 8_000 }
const setting = { users: 600, rounds: 10 * soak, thefts: 100, seed: 20_261_122 }

const number = (n: number) => n.toFixed(1).padStart(6)

// Every second a program repeats what got no answer, so a grace period of 10 s holds ten attempts.
for (const [name, network] of Object.entries({ lossy, mobile })) {
  for (const grace of [0, 2, 10, 30]) {
    t.test(`a ${name} network, a grace period of ${grace} s`, { timeout: 60_000 * soak }, async (t) => {
      const { refreshes, falseLogouts, thefts, detected, minutes } = await experiment({ ...setting, grace, network })
      t.comment(`${refreshes} refreshes, ${falseLogouts} of 500 users logged out by accident (${(1000 * falseLogouts / refreshes).toFixed(2)} in 1,000 refreshes); ` +
        `${detected} of ${thefts} thefts detected, after${number(minutes.median)} min (median),${number(minutes.p95)} (p95),${number(minutes.most)} (most)`)
      t.equal(detected, thefts, 'every theft after which both sides go on is detected')
      if (grace === 0) t.ok(falseLogouts > 100, 'strict single use ends a session with every lost answer')
      if (grace >= 10 && network === lossy) t.equal(falseLogouts, 0, 'nobody is logged out by accident')
    })
  }
}
