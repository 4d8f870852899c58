import t from 'tap'
import { MemoryStore, RedisStore } from '../lib/index'
import { boundStore } from '../lib/store/bounded'
import { Coalescer } from '../lib/store/redis/coalesce'
import type { RedisClient } from '../lib/store/redis/client'
import { start } from '../lib/store/redis/scripts/start.lua'
import { createScripts } from '../lib/store/redis/scripts/scripts'
import { inTime, Sender, type Send } from '../lib/store/redis/send'
import { ServerClock } from '../lib/store/redis/server-clock'
import type { Ended, Store } from '../lib/store/store'
import { build, hour, second } from './support/app'
import { observe } from './support/events'
import { redisFor } from './support/servers/redis'

t.test('a process that was suspended judges by the clock that went on', async (t) => {
  let monotonic = 1_000
  let wall = 50_000
  const clock = new ServerClock({ monotonic: () => monotonic, wall: () => wall })
  t.equal(clock.now(), undefined, 'nothing is known before the first reply')
  clock.learn(900_000, monotonic)
  wall += 8 * hour
  t.equal(clock.now(), 900_000 + 8 * hour)
  t.equal(clock.least(), 900_000, 'a deadline is told by the clock that never steps')
  wall -= 9 * hour
  monotonic += 5
  t.equal(clock.now(), 900_005, 'a wall clock that was set back delays nothing')
  wall += hour
  clock.learn(900_005, monotonic)
  t.equal(clock.now(), 900_005, 'the next reply mends it')
})

t.test('a second try has what is left of the time, not all of it', async (t) => {
  const deadlines: number[] = []
  await t.rejects(inTime(hour, async (giveUpAt) => {
    deadlines.push(giveUpAt)
    return { outcome: 'late' as const }
  }))
  t.equal(deadlines.length, 2)
  t.equal(deadlines[0], deadlines[1])
})

t.test('a command is told the last whole millisecond of its time, and no later one', async (t) => {
  const { list } = createScripts('ended')
  let closest = -Infinity
  // What is left of a millisecond decides, on either clock.
  for (let i = 0; i < 2_000; i++) {
    const ahead = 900_000 + i / 7
    let told = NaN
    const evalshaBuffer = async (_sha: string, _keys: number, _key: string, notAfter: number) => {
      told = notAfter
      const head = Buffer.alloc(16)
      head.writeUIntBE(Math.floor(performance.now() + ahead), 1, 6)
      return head
    }
    const client = { status: 'ready', on () {}, evalshaBuffer } as unknown as RedisClient
    const { send } = new Sender(client, 'nobody')
    await send(list, ['u'], [], performance.now() + 100)
    const giveUpAt = performance.now() + 100 + i / 11
    await send(list, ['u'], [], giveUpAt)
    closest = Math.max(closest, told - Math.floor(giveUpAt + ahead))
  }
  t.equal(closest, -1, 'that in which it is given up is not over by then')
})

t.test('a process that is paused while it sends tells no later millisecond', async (t) => {
  const { now } = performance
  t.teardown(() => { performance.now = now })
  let moment = 1_000
  let pause = 0
  performance.now = () => { moment += pause; return moment }
  const told: number[] = []
  const evalshaBuffer = async (_sha: string, _keys: number, _key: string, notAfter: number) => {
    told.push(notAfter)
    const head = Buffer.alloc(16)
    head.writeUIntBE(900_000 + moment, 1, 6)
    return head
  }
  const client = { status: 'ready', on () {}, evalshaBuffer } as unknown as RedisClient
  const { send } = new Sender(client, 'nobody')
  await send(createScripts('ended').list, ['u'], [], 5_000)
  pause = 20 // at each look at the clock
  await send(createScripts('ended').list, ['u'], [], 5_000)
  t.equal(told[0], 0, 'no clock is known yet')
  t.ok(Number(told[1]) < 900_000 + 5_000, `${told[1]} comes before the deadline`)
})

t.test('in the last millisecond of its time a command takes effect, in the next none does', async (t) => {
  const redis = (await redisFor(t)).client()
  const frozen = start.replace("call('TIME')", "{ '1700000000', '123999' }")
  const at = async (notAfter: number) =>
    await redis.eval(`${frozen} return 'taken'`, 1, 'u', notAfter)
  t.equal(await at(1_700_000_000_123), 'taken')
  t.not(await at(1_700_000_000_122), 'taken')
  for (const [verb, { lua }] of Object.entries(createScripts('ended'))) {
    t.ok(lua.startsWith(start.trim()), `${verb} begins so`)
  }
})

t.test('rotations that go together are given up when the first of them is', async (t) => {
  const deadlines: number[] = []
  const send: Send = async (_script, _keys, _args, giveUpAt) => {
    deadlines.push(giveUpAt - performance.now())
    throw new Error('not sent')
  }
  const coalescer = new Coalescer({}, send)
  coalescer.together = true
  const script = { lua: '', sha: '', shared: 0 }
  const rotate = async (key: string, timeout: number) =>
    await t.rejects(coalescer.send(script, [key], [], performance.now() + timeout), /not sent/)
  await Promise.all([rotate('a', hour), rotate('b', 1_000), rotate('c', hour)])
  t.equal(deadlines.length, 1)
  t.ok((deadlines[0] ?? Infinity) <= 1_000)
})

t.test('what Redis has answered counts, however busy this process was', async (t) => {
  const server = await redisFor(t)
  const redis = new RedisStore(server.client())
  await redis.open(hour)
  const store = boundStore(redis, 50, () => {})
  const answer = store.find('u', 'nobody')
  await new Promise(setImmediate)
  const end = performance.now() + 400
  while (performance.now() < end);
  t.equal(await answer, undefined)
})

/** A store with as many replicas as a test says. */
class Replicated extends MemoryStore implements Store {
  readonly asked: Array<readonly Ended[]> = []
  replicas = 0
  replication () {
    const confirm = async (ended: readonly Ended[]): Promise<number> => {
      this.asked.push(ended)
      return this.replicas
    }
    return { confirm, close () {} }
  }
}

t.test('a denial by the claims hook waits for replicas as every ending does', async (t) => {
  const store = new Replicated()
  const { login, refresh } = await build(t, {
    store, durability: { replicas: 1 }, claims: () => null
  })
  const client = await login()
  t.equal((await refresh(client)).statusCode, 401)
  t.equal(store.asked.length, 1)
})

t.test('all that one refresh ends is confirmed by one question', async (t) => {
  for (const [ends, claims] of [['deny', () => null], ['reuse', undefined]] as const) {
    const store = new Replicated()
    const seen = observe(t)
    const { login, refresh, clock } = await build(t, {
      store, durability: { replicas: 1 }, refreshToken: { gracePeriod: 0 }, claims
    })
    const cookies: string[] = []
    for (const sub of ['ada', 'eve', 'bob', 'cyd', 'dan']) {
      const client = await login({ sub })
      if (ends === 'reuse') await refresh(client)
      cookies.push(client.cookie)
      clock.pass(second)
    }
    t.equal((await refresh({ cookie: cookies.join('; ') })).statusCode, 401)
    t.equal(seen().filter(([name]) => name === ends).length, 4)
    t.equal(store.asked.length, 1, ends)
    t.equal(store.asked[0]?.flatMap(({ sids }) => sids).length, 4)
  }
})

t.test('a denial that many refreshes share is confirmed once, and told once', async (t) => {
  const store = new Replicated()
  const seen = observe(t)
  const { login, refresh } = await build(t, {
    store,
    durability: { replicas: 1 },
    claims: async () => await new Promise((resolve) => setImmediate(resolve, null))
  })
  const client = await login()
  const answers = await Promise.all(Array.from({ length: 5 }, async () => await refresh(client)))
  t.strictSame(answers.map((answer) => answer.json().code), Array(5).fill('SESSION_REVOKED'))
  t.strictSame(store.asked.map(([ended]) => ended?.sids.length), [1])
  t.match(seen().slice(1), [['deny', { sid: String }], ['unconfirmed', { sid: String }]])
  t.equal(seen().length, 3)
})

t.test('of two sessions that a logout ends both are confirmed, or it is not', async (t) => {
  const store = new Replicated()
  const { login, logout } = await build(t, { store, durability: { replicas: 1 } })
  for (const [replicas, status] of [[0, 202], [1, 204]] as const) {
    store.replicas = replicas
    store.asked.length = 0
    const { cookie } = await login({ sub: 'ada' })
    const { authorization } = await login({ sub: 'eve' }, { replace: false })
    const headers = { authorization }
    t.equal((await logout({ cookie }, { headers })).statusCode, status)
    t.equal(store.asked.length, 1, 'by one question')
    t.equal(store.asked[0]?.flatMap(({ sids }) => sids).length, 2)
  }
})
