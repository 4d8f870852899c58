import { MemoryStore } from '../../lib/index'
import { build } from './app'
import { percentile, random } from './random'
import { interval, Program, type Network } from './simulation'
import { Timeline } from './timeline'
import { into, User } from './user'

/** What is tried: how many users refresh how often, how many of them are robbed, over which network, with which grace period in seconds. */
export interface Setting { grace: number, users: number, rounds: number, thefts: number, network: Network, seed: number }

/** What came of it. */
export interface Figures {
  /** By users whom nobody robbed. */
  refreshes: number
  /** Sessions of theirs that ended all the same. */
  falseLogouts: number
  /** Sessions of which a thief copied the refresh token and went on, as the user did. */
  thefts: number
  detected: number
  /** Minutes of virtual time from the theft to the end of the session. */
  minutes: { median: number, p95: number, most: number }
}

/** Runs one setting in virtual time; the same seed gives the same figures. */
export async function experiment ({ grace, users, rounds, thefts, network, seed }: Setting): Promise<Figures> {
  const draw = random(seed)
  const time = new Timeline(Date.now())
  const detected = new Map<string, number>()
  const app = await build({
    store: new MemoryStore({ now: () => time.now }),
    refreshToken: { gracePeriod: grace },
    onReuse: ({ sub }) => { detected.set(sub, time.now) }
  })
  const present = (token: string) => new User('', into(app)).present(token)
  const start = time.now
  const programs: Program[] = []
  const robbed: { sub: string, from: number }[] = []
  for (let i = 0; i < users; i++) {
    const user = new User(`user-${i}`, into(app))
    await user.login()
    const program = new Program(user.token, time, draw, network, present)
    program.start(interval)
    programs.push(program)
    if (i >= thefts) continue
    time.after(interval * (1 + draw() * (rounds / 2)), () => {
      if (program.over) return
      const thief = new Program(program.token, time, draw, network, present)
      robbed.push({ sub: user.sub, from: time.now })
      thief.start(interval / 2)
    })
  }
  // The intervals' jitter makes more than `rounds` refreshes of it.
  await time.run(start + interval * (rounds + 1))
  await app.close()
  const detections = robbed.flatMap(({ sub, from }) => {
    const at = detected.get(sub)
    return at === undefined ? [] : [(at - from) / 60_000]
  })
  const unharmed = programs.slice(thefts)
  return {
    refreshes: unharmed.reduce((sum, { refreshes }) => sum + refreshes, 0),
    falseLogouts: unharmed.filter(({ over }) => over).length,
    thefts: robbed.length,
    detected: detections.length,
    minutes: { median: percentile(detections, 0.5), p95: percentile(detections, 0.95), most: Math.max(...detections) }
  }
}
