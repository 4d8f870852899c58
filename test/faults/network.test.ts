import t from 'tap'
import { experiment, type Figures, type Setting } from './experiment'
import type { Network, Thief } from './simulation'
import { soak } from './soak'

const lossy: Network = {
  loss: 0.05,
  duplicated: 0.02,
  delay: 150,
  offline: 0,
  outage: 0,
  killed: 0
}
const networks: Record<string, Network> = {
  lossy,
  mobile: { ...lossy, offline: 0.02, outage: 8_000 },
  'with dead spots and crashes': { ...lossy, offline: 0.02, outage: 180_000, killed: 0.01 }
}
const setting = { users: 350, rounds: 10 * soak, thefts: 50, seed: 20_261_122 }

function say ({ refreshes, falseLogouts, thefts, detected, minutes }: Figures): string {
  const { median, p95, most } = minutes
  const after =
    detected === 0
      ? ''
      : `, after ${median.toFixed(0)} min (median), ${p95.toFixed(0)} (95 %), ${most.toFixed(0)} (longest)`
  return `${refreshes} refreshes, ${falseLogouts} of 300 users logged out by accident; ` +
    `${detected} of ${thefts} thefts found out${after}`
}

type Try = Pick<Setting, 'spentOn' | 'grace' | 'thief' | 'network'> & {
  victimStops?: boolean
  rounds?: number
}
const run = async (tried: Try): Promise<Figures> => await experiment({ ...setting, ...tried })

// Every second a program repeats what got no answer, so a grace period of 10 s holds ten attempts.
for (const spentOn of ['issue', 'use'] as const) {
  for (const [name, network] of Object.entries(networks)) {
    const few = spentOn === 'use' || name === 'with dead spots and crashes'
    for (const grace of few && soak === 1 ? [0, 10] : [0, 2, 10, 30]) {
      const title = `spent on ${spentOn}: a network that is ${name}, a grace period of ${grace} s`
      t.test(title, { timeout: 60_000 * soak }, async (t) => {
        const figures = await run({ spentOn, grace, thief: 'goes on', network })
        t.comment(say(figures))
        const { falseLogouts, thefts, detected } = figures
        t.ok(thefts > 25, 'enough thefts to judge by')
        t.equal(detected, thefts, 'every theft after which both sides go on is found out')
        if (spentOn === 'use') t.equal(falseLogouts, 0, 'nobody is logged out by accident')
        if (spentOn === 'issue' && grace === 0) {
          t.ok(falseLogouts > 60, 'with every lost answer a session ends')
        }
        if (spentOn === 'issue' && grace >= 10 && network === lossy) t.equal(falseLogouts, 0)
      })
    }
  }
}

const kinds: Thief[] = ['goes on', 'waits a day', 'once', 'repeats only', 'the same token for ever']

for (const spentOn of ['issue', 'use'] as const) {
  for (const thief of kinds) {
    t.test(`spent on ${spentOn}: a thief (${thief})`, { timeout: 120_000 * soak }, async (t) => {
      const rounds = thief === 'waits a day' ? 60 : 10
      const smaller = { spentOn, grace: 10, thief, network: lossy, rounds, users: 31, thefts: 30 }
      const goesOn = await experiment({ ...setting, ...smaller })
      t.comment(`the user goes on: ${say(goesOn)}`)
      const stopped = await experiment({ ...setting, ...smaller, victimStops: true })
      t.comment(`the user has stopped: ${say(stopped)}`)
      // Who uses an offer once, and never again, leaves nothing behind that could part the two.
      if (thief === 'once' && spentOn === 'use') t.ok(goesOn.detected < goesOn.thefts / 2)
      // Except who comes together with the user.
      else if (thief === 'once') t.ok(goesOn.detected >= goesOn.thefts - 2)
      else t.equal(goesOn.detected, goesOn.thefts, 'he is found out while the user goes on')
      if (thief !== 'the same token for ever') {
        t.equal(stopped.detected, 0, 'nothing parts a thief from nobody')
      }
    })
  }
}
