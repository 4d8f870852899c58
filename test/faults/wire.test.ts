import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { observe } from '../support/events'
import { lossyFor, type Passage } from '../support/servers/lossy'
import { redisFor } from '../support/servers/redis'
import { until } from '../support/servers/until'
import { appFor } from './app'
import { random } from './random'
import { soak } from './soak'
import { into, over, User } from './user'

const seed = 20_261_122
const users = 500
const rounds = 4 * soak
const patience = 400

// The fate of a request hangs on who asks for which time, not on when it comes by.
function fate ({ headers }: IncomingMessage): Passage {
  const draw = random(
    createHash('sha256')
      .update(`${seed} ${String(headers['x-try'])}`)
      .digest()
      .readUInt32BE()
  )
  const delay = () => -Math.log(1 - draw()) * 15
  const copies = draw() < 0.02 ? 2 : 1
  return Array.from({ length: copies }, () => ({
    lost: draw() < 0.05,
    late: delay(),
    back: draw() < 0.05 ? undefined : delay()
  })).filter(({ lost }) => !lost)
}

t.test('500 users over a network that loses 5 % each way, to a real Redis: nobody is logged out', { timeout: 180_000 * soak }, async (t) => {
  const server = await redisFor(t)
  const seen = observe(t)
  const app = await appFor(t, { redis: server.client(), refreshToken: { gracePeriod: 10 } })
  const { origin, isQuiet } = await lossyFor(
    t,
    await app.listen({ port: 0, host: '127.0.0.1' }),
    fate
  )
  const lossy = over(origin, 60_000)
  const refusals: (string | undefined)[] = []
  let tries = 0

  async function live (i: number): Promise<void> {
    let n = 0
    const user = new User(`user-${i}`, into(app))
    await user.login()
    user.send = async (method, path, headers) => {
      tries++
      const answer = lossy(method, path, {
        ...headers,
        'x-user': String(i),
        'x-try': `${i} ${n++}`
      })
      answer.catch(() => {})
      // It is given up on, and on its way all the same.
      return await Promise.race([
        answer,
        delay(patience).then(() => {
          throw new Error('no answer')
        })
      ])
    }
    for (let round = 0; round < rounds; round++) {
      const answer = await user.refreshThrough(async () => {})
      if (answer.status !== 200) refusals.push(answer.code)
      // The next refresh is due when an access token has lived: no network holds a message for so
      // long.
      await until('the network to be quiet', () => isQuiet(String(i), n))
    }
  }

  // Fifty at a time: the machine is not what is tried here.
  const waiting = Array.from({ length: users }, (_, i) => i)
  await Promise.all(Array.from({ length: 50 }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await live(next)
  }))
  const count = (wanted: string) => seen().filter(([name]) => name === wanted).length
  t.comment(
    `${users * rounds} refreshes took ${tries} tries; ${count('repeat')} repeats, ${refusals.length} of ${users} users logged out`
  )
  t.strictSame(refusals, [])
  t.equal(count('reuse'), 0)
  t.equal(count('refresh'), users * rounds, 'each token was spent once')
  t.ok(count('repeat') > users * rounds * 0.03)
})
