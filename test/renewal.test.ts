import t, { type Test } from 'tap'
import { MemoryStore } from '../lib/index'
import { Timeline } from './faults/timeline'
import { minute } from './support/app'
import { Browser, type Tally, type Weather } from './support/browser-model'
import { start, type Options } from './support/cookie-mode'
import { redisFor } from './support/servers/redis'

const seed = 20_261_128
const mild = { lost: 0.05, late: 0.1, latest: minute }
const bad = { lost: 0.3, late: 0.3, latest: 10 * minute }

/** Random numbers from 0 to 1, the same ones for the same seed: a linear congruential generator. */
function randomFrom (seed: number): () => number {
  let state = BigInt(seed)
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number(state >> 32n) / 2 ** 32
  }
}

interface Setting {
  weather: Weather
  users: number
  visits: number
  options: Options
}

/** Lets browsers visit pages for days of the timeline, and reports what became of it. */
async function simulate (t: Test, { weather, users, visits, options }: Setting): Promise<Tally> {
  const time = new Timeline(Date.UTC(2026, 0, 1))
  const memory = { store: new MemoryStore({ now: () => time.now }) }
  const store = options.redis === undefined ? memory : {}
  const app = await start(t, { ...store, ...options })
  const random = randomFrom(seed)
  const tally: Tally = { requests: 0, renewed: 0, refused: [] }
  for (let i = 0; i < users; i++) {
    const browser = new Browser(app, time, random, weather, tally)
    await browser.login(`user-${i}`)
    time.after(random() * 60 * minute, () => { browser.visit(visits) })
  }
  await time.run(Infinity)
  const { requests, renewed, refused } = tally
  t.comment(`seed ${seed}: ${requests} requests, ${renewed} renewals, ${refused.length} refused`)
  return tally
}

for (const [gracePeriod, weather] of [['10s', mild], ['10s', bad], ['0s', bad]] as const) {
  const { lost, latest } = weather
  const how = `${lost * 100} % lost, up to ${latest / minute} min late`
  t.test(`nobody is refused with ${how}, grace period ${gracePeriod}: MemoryStore`, async (t) => {
    const options = { refreshToken: { gracePeriod } }
    const { renewed, refused } = await simulate(t, { weather, users: 60, visits: 40, options })
    t.ok(renewed > 4000, `${renewed} renewals`)
    t.strictSame(refused, [])
  })
}

// Its clock cannot be set, so all that counts there is the order, and two moments are two holders.
t.test('nobody is refused with answers out of order, grace period 0s: RedisStore', async (t) => {
  const options = { redis: (await redisFor(t)).client(), refreshToken: { gracePeriod: 0 } }
  const { renewed, refused } = await simulate(t, { weather: bad, users: 30, visits: 30, options })
  t.ok(renewed > 1000, `${renewed} renewals`)
  t.strictSame(refused, [])
})

t.test('a token that is spent at once would have many refused', async (t) => {
  const options: Options = { refreshToken: { spentOn: 'issue' } }
  const { refused } = await simulate(t, { weather: mild, users: 20, visits: 40, options })
  t.ok(refused.includes('REFRESH_TOKEN_REUSED'), `${refused.length} refused`)
})
