import { MemoryStore } from '../../lib/index'
import { build } from './app'
import { percentile, random } from './random'
import { interval, Program, steal, type Network, type Thief } from './simulation'
import { Timeline } from './timeline'
import { into, User } from './user'

/** What is tried. */
export interface Setting {
  spentOn: 'issue' | 'use'
  /** The grace period in seconds. */
  grace: number
  users: number
  /** How often each user refreshes, or so. */
  rounds: number
  /** How many users are robbed, how, and whether those users go on afterwards. */
  thefts: number
  thief: Thief
  victimStops?: boolean
  network: Network
  seed: number
}

/** What came of it. */
export interface Figures {
  /** By users whom nobody robbed. */
  refreshes: number
  /** Sessions of theirs that ended all the same. */
  falseLogouts: number
  /** Sessions of which a thief copied the refresh token. */
  thefts: number
  detected: number
  /** Minutes of virtual time from the theft to the end of the session. */
  minutes: { median: number, p95: number, most: number }
}

/** Runs one setting in virtual time; the same seed gives the same figures. */
export async function experiment (setting: Setting): Promise<Figures> {
  const { spentOn, grace, users, rounds, thefts, thief, victimStops, network, seed } = setting
  const draw = random(seed)
  const time = new Timeline(Date.now())
  const detected = new Map<string, number>()
  const app = await build({
    store: new MemoryStore({ now: () => time.now }),
    refreshToken: { gracePeriod: grace, spentOn },
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
    time.after(interval * (1 + draw() * Math.min(rounds / 2, 5)), () => {
      if (program.over) return
      robbed.push({ sub: user.sub, from: time.now })
      program.stopped = victimStops === true
      steal(program, thief)
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
    minutes: {
      median: percentile(detections, 0.5),
      p95: percentile(detections, 0.95),
      most: Math.max(...detections)
    }
  }
}
