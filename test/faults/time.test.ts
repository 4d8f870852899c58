import t from 'tap'
import { MemoryStore } from '../../lib/index'
import { TestClock, day, hour, minute, peek, second } from '../support/app'
import { observe } from '../support/events'
import { redisFor } from '../support/servers/redis'
import { age } from '../support/age'
import { appFor } from './app'
import { into, User } from './user'

type Test = InstanceType<typeof import('tap').Test>

/** Steps this process's clock of the time of day. */
function stepOwnClock (t: Test, ms: number): void {
  const { now } = Date
  Date.now = () => now() + ms
  t.teardown(() => { Date.now = now })
}

async function setUp (t: Test, options = {}) {
  const server = await redisFor(t)
  const admin = server.client()
  const app = await appFor(t, { redis: server.client(), ...options })
  const user = new User('ada', into(app))
  t.equal((await user.login()).status, 200)
  const me = async () =>
    (await user.send('GET', '/me', { authorization: `Bearer ${user.access}` })).code ?? 'let in'
  const session = async () => (await app.sessions.list('ada'))[0]
  return { app, admin, user, me, session }
}

// The server's clock cannot be set. What a step comes to is the same: all that it holds is older or
// younger by so much, and so is what this node has learned of that clock.
async function stepRedisClock (
  t: Test,
  admin: Parameters<typeof age>[0],
  ms: number
): Promise<void> {
  await age(admin, ms)
  const { now } = performance
  performance.now = () => now.call(performance) - ms
  t.teardown(() => {
    performance.now = now
  })
}

for (const [step, ms] of Object.entries({
  'a day back': -day,
  'ten minutes back': -10 * minute,
  'ten minutes ahead': 10 * minute,
  'a day ahead': day
})) {
  t.test(`the clock of an application steps ${step}`, async (t) => {
    const { user, me, session } = await setUp(t)
    const first = user.token
    t.equal((await user.refresh()).status, 200)
    const before = await session()
    stepOwnClock(t, ms)
    // A step and a suspended process look alike, until the store's clock is heard again.
    t.equal(await me(), ms < day ? 'let in' : 'ACCESS_TOKEN_EXPIRED')
    t.equal((await user.present(first)).token, user.token, 'the grace period is as long as ever')
    t.equal((await user.refresh()).status, 200)
    t.equal(await me(), 'let in')
    const after = await session()
    t.ok(
      Math.abs(Number(after?.refreshedAt) - Number(before?.refreshedAt)) < minute,
      'times are by the clock of the store'
    )
    t.equal(after?.deadline, before?.deadline)
  })
}

for (const [step, ms] of Object.entries({
  'a day back': -day,
  'an hour back': -hour,
  'ten seconds back': -10 * second
})) {
  t.test(`Redis's clock steps ${step}`, async (t) => {
    const { admin, user, me, session } = await setUp(t)
    const seen = observe(t)
    const first = user.token
    t.equal((await user.refresh()).status, 200)
    await stepRedisClock(t, admin, ms)
    // Its exp has moved along with all else here, so the text is another one.
    t.equal(
      peek((await user.present(first)).token ?? '').gen,
      2,
      'a repeat is one, now also long after'
    )
    t.equal(await me(), 'let in')
    const spent = user.token
    t.equal((await user.refresh()).status, 200)
    t.equal(await me(), 'let in')
    const { createdAt = 0, refreshedAt = 0, expiresAt = 0, deadline = 0 } = (await session()) ?? {}
    t.ok(
      refreshedAt < expiresAt &&
        expiresAt <= deadline &&
        Math.abs(refreshedAt - createdAt - ms) < minute,
      'times are what that clock shows'
    )
    // Until the clock has caught up, the last rotation seems to be yet to come.
    await age(admin, -ms + 11 * second)
    t.match(
      await user.present(spent),
      { status: 401, code: 'REFRESH_TOKEN_REUSED' },
      'then reuse is reuse again'
    )
    t.equal(seen().filter(([name]) => name === 'reuse').length, 1)
  })
}

t.test('Redis\'s clock steps ten minutes ahead', async (t) => {
  const { admin, user, me, session } = await setUp(t, { accessToken: { lifetime: 300 } })
  await stepRedisClock(t, admin, 10 * minute)
  t.equal(
    (await user.refresh()).status,
    200,
    'the refresh that finds out needs a second round trip'
  )
  t.equal(await me(), 'let in')
  t.equal((await session())?.generation, 2)
  const spent = user.token
  t.equal((await user.refresh()).status, 200)
  await stepRedisClock(t, admin, 10 * minute)
  t.equal(await me(), 'let in', 'a guard that asks nobody cannot know')
  t.match(
    await user.present(spent),
    { status: 401, code: 'REFRESH_TOKEN_REUSED' },
    'what was to be repeated within the grace period is reuse: the price of a clock that jumps over it'
  )
})

t.test('lifetimes and the grace period end to the millisecond', async (t) => {
  const clock = new TestClock()
  const app = await appFor(t, {
    store: new MemoryStore(clock),
    accessToken: { lifetime: 60 },
    refreshToken: { idleLifetime: '1h', absoluteLifetime: '90m', gracePeriod: 10 }
  })
  const at = async (
    ms: number,
    ask: (user: User) => Promise<{ status: number, code?: string | undefined }>
  ) => {
    const user = new User('ada', into(app))
    await user.login()
    clock.pass(ms)
    const { status, code } = await ask(user)
    return code ?? status
  }
  const refresh = async (user: User) => await user.refresh()
  const me = async (user: User) =>
    await user.send('GET', '/me', { authorization: `Bearer ${user.access}` })
  const repeatAfter = (ms: number) => async (user: User) => {
    const { token } = user
    await user.refresh()
    clock.pass(ms)
    return await user.present(token)
  }
  const refreshAgainAfter = (ms: number) => async (user: User) => {
    await user.refresh()
    clock.pass(ms)
    return await user.refresh()
  }
  t.equal(await at(hour - 1, refresh), 200)
  t.equal(await at(hour, refresh), 'REFRESH_TOKEN_EXPIRED')
  t.equal(
    await at(hour - 1, refreshAgainAfter(30 * minute)),
    200,
    'one millisecond before the absolute end'
  )
  t.equal(await at(hour - 1, refreshAgainAfter(30 * minute + 1)), 'REFRESH_TOKEN_EXPIRED')
  t.equal(await at(0, repeatAfter(10 * second - 1)), 200)
  t.equal(await at(0, repeatAfter(10 * second)), 'REFRESH_TOKEN_REUSED')
  // Access tokens count in whole seconds.
  clock.ms = Math.ceil(clock.ms / second) * second
  t.equal(await at(60 * second - 1, me), 200)
  clock.ms = Math.ceil(clock.ms / second) * second
  t.equal(await at(60 * second, me), 'ACCESS_TOKEN_EXPIRED')
})
