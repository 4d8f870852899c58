// @ts-nocheck
import fc from 'fast-check'
import t from 'tap'
import { RedisStore, MemoryStore } from '../lib/index'
import { createAsk } from '../lib/store/bounded'
import { Clock } from '../lib/store/redis/server-clock'
import type { Store } from '../lib/store/store'
import { createScripts } from '../lib/store/redis/scripts/scripts'
import { TestClock, build, hour, minute, day } from './support/app'
import { observe } from './support/events'
import { age } from './support/age'
import { contract, creation, rotation, within } from './support/store-contract'
import { monitor } from './support/servers/monitor'
import { redisFor } from './support/servers/redis'

contract(t, 'MemoryStore', async () => {
  const clock = new TestClock()
  clock.ms = Date.now()
  return { store: new MemoryStore(clock), pass: (ms) => clock.pass(ms) }
})

t.test('RedisStore', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  const shared = new RedisStore(client)

  contract(t, 'RedisStore', async () => ({ store: shared, pass: async (ms) => await age(client, ms) }))

  t.test('every key has a TTL at every moment; after a login it is the end of the session that lives longest', async (t) => {
    await client.flushall()
    const store = new RedisStore(client, { prefix: 'app:' })
    const ttl = async () => await client.pexpiretime('app:{u}')
    const { session: short } = await store.create('u', creation({ idleLifetime: hour }), within)
    t.equal(await ttl(), short.expiresAt)
    const { session: long } = await store.create('u', creation({ idleLifetime: day }), within)
    t.equal(await ttl(), long.expiresAt)
    await store.rotate('u', rotation(short.sid, 1, { idleLifetime: hour }), within)
    t.equal(await ttl(), long.expiresAt)
    await store.end('u', long.sid, within)
    t.ok(await ttl() > 0)
    await age(client, 2 * hour)
    const { session: third } = await store.create('u', creation({ idleLifetime: minute }), within)
    t.equal(await ttl(), third.expiresAt, 'a login clears away what has run out, and its TTL')
    t.equal(await client.hlen('app:{u}'), 1)
    t.strictSame(await client.keys('*'), ['app:{u}'], 'one key for each user')
    await store.end('u', third.sid, within)
    t.strictSame(await client.keys('*'), [], 'none is left when the last session is over')
  })

  t.test('a key is kept for as long as each of its sessions, however idle lifetimes change, and not past the last deadline', async (t) => {
    const store = new RedisStore(client)
    const lifetimes = fc.constantFrom(10_007, minute, hour, day, 14 * day)
    const step = fc.record({ which: fc.nat(2), idleLifetime: lifetimes, pass: fc.integer({ min: 0, max: 17 }) })
    // A login clears away what has run out, and writes the rest anew.
    const cleared = [[1, day, 0], [1, day, 1], [0, minute, 16], [1, day, 0], [2, minute, 8], [1, day, 0]] as const
    const examples = [cleared.map(([which, idleLifetime, pass]) => ({ which, idleLifetime, pass }))] as [Array<{ which: number, idleLifetime: number, pass: number }>]
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await client.flushall()
      let deadline = 0
      for (const [i, { which, idleLifetime, pass }] of steps.entries()) {
        const [sid, lifetime] = [`session-${which}`, { idleLifetime, absoluteLifetime: 20 * day }]
        const { outcome } = await store.rotate('u', rotation(sid, 1000 + i, { idleLifetime }), within)
        if (outcome === 'unknown') await store.create('u', creation({ sid, ...lifetime }), within)
        const sessions = await store.list('u', within)
        deadline = Math.max(deadline, ...sessions.map(({ deadline }) => deadline))
        const kept = await client.pexpiretime('jwt:{u}')
        const last = Math.max(...sessions.map(({ expiresAt }) => expiresAt))
        if (kept < last) throw new Error(`kept ${last - kept} ms too short`)
        if (kept > deadline) throw new Error(`kept ${kept - deadline} ms past the last deadline`)
        const ms = Math.floor(idleLifetime * pass / 16)
        await age(client, ms)
        deadline -= ms
      }
    }), { numRuns: 150, examples: [examples] })
    t.pass('over 150 histories')
  })

  t.test('most rotations leave the TTL of their key alone', async (t) => {
    const store = new RedisStore(client)
    const { session: { sid } } = await store.create('u', creation(), within)
    let touched = 0
    for (let generation = 1; generation <= 48; generation++) {
      await age(client, 30 * minute)
      await client.config('RESETSTAT')
      await store.rotate('u', rotation(sid, generation), within)
      touched += Number(/cmdstat_pexpireat:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)
    }
    t.equal(touched, 2, 'in a day of 48 rotations')
  })

  t.test('a step is one round trip', async (t) => {
    const store = new RedisStore(client)
    await store.open(within)
    const seen = await monitor(server)
    const { session: { sid } } = await store.create('u', creation(), within)
    await store.find('u', sid, within)
    await store.list('u', within)
    await store.rotate('u', rotation(sid, 1), within)
    await store.end('u', sid, within)
    await store.endAll('u', {}, within)
    const lines = await seen.flush()
    t.strictSame(lines.map(([name]) => name), Array(6).fill('evalsha'))
  })

  t.test('scripts that the server has forgotten go unnoticed', async (t) => {
    const store = new RedisStore(client)
    for (const { sha } of Object.values(createScripts('jwt:ended'))) t.match(sha, /^[0-9a-f]{40}$/)
    await client.script('FLUSH')
    const { session: { sid } } = await store.create('u', creation(), within)
    await client.script('FLUSH')
    t.match(await store.rotate('u', rotation(sid, 1), within), { outcome: 'rotated' })
  })

  t.test('a command whose deadline has passed by the clock of the store takes no effect', async (t) => {
    const store = new RedisStore(client)
    await store.list('u', within)
    await client.flushall()
    await server.pause()
    const late = store.create('u', creation(), 50)
    const ask = createAsk(store, 50)
    await t.rejects(ask(async () => await late), { code: 'STORE_UNAVAILABLE', headers: { 'retry-after': '1' }, reason: 'no answer within 50 ms' })
    await server.resume()
    await t.rejects(late, { message: 'the command reached the store too late' })
    t.strictSame(await client.keys('*'), [])
  })

  t.test('errors of the server are answered, without the arguments of the command', async (t) => {
    const store = new RedisStore(client)
    await client.set('jwt:{u}', 'not a hash')
    const ask = createAsk(store, within)
    const error = await ask(async (store, within) => await store.create('u', creation({ text: 'private' }), within)).catch((error: Error) => error)
    t.match(error, { code: 'STORE_UNAVAILABLE', statusCode: 503, reason: /WRONGTYPE/ })
    t.notMatch(JSON.stringify(Object.entries(error)), /private/)
    await client.flushall()
  })

  t.test('a sleeping client is woken', async (t) => {
    const store = new RedisStore(server.client({ lazyConnect: true }))
    t.strictSame(await store.list('u', within), [])
  })

  t.test('any prefix is kept to, in keys and in channels', async (t) => {
    for (const prefix of ['', 'my:', 'it\'s "\\\n\0☎]]1', '𝄞%$&']) {
      const store = new RedisStore(server.client(), { prefix })
      await store.create('u', creation({ sid: 'the session' }), within)
      t.strictSame(await client.keys('*'), [`${prefix}{u}`])
      t.equal(await new Promise<string>((resolve) => {
        t.teardown(store.listen({ ended: resolve, lost: () => {}, listening: () => { store.end('u', 'the session', within) } }))
      }), 'the session')
      t.strictSame(await client.keys('*'), [])
    }
  })

  t.test('keyPrefix of the client is kept to', async (t) => {
    const store = new RedisStore(server.client({ keyPrefix: 'mine:' }))
    const { session } = await store.create('u', creation(), within)
    t.strictSame(await client.keys('*'), ['mine:jwt:{u}'])
    t.strictSame(await store.find('u', session.sid, within), session)
    await client.flushall()
  })

  t.test('a server that is down is waited for, no longer than told', async (t) => {
    const other = await redisFor(t)
    const client = other.client()
    const store = new RedisStore(client)
    await store.open(within)
    await other.kill()
    await new Promise<void>((resolve) => client.once('close', resolve))
    await t.rejects(store.list('u', 30), { message: /not ready/ })
    const patient = store.list('u', 10_000)
    await other.start()
    t.strictSame(await patient, [])
  })
})

t.test('RedisStore refuses what is no client, and wrong options', async (t) => {
  for (const client of [undefined, null, {}, 'redis://localhost']) {
    t.throws(() => new RedisStore(client as never), { code: 'INVALID_OPTION' })
  }
  const client = { status: 'ready', on () {}, evalsha () {} }
  t.throws(() => new RedisStore(client as never, { prefix: 'a{b}' }), { code: 'INVALID_OPTION', message: /RedisStore\.prefix/ })
  t.throws(() => new RedisStore(client as never, { prefx: 'a' } as never), { code: 'INVALID_OPTION', message: /prefx/ })
})

t.test('whatever a store rejects with, or throws, comes to one error', async (t) => {
  const ask = createAsk(new MemoryStore(), within)
  for (const reason of ['a word', undefined, new Error('a reason')] as unknown[]) {
    const wanted = { code: 'STORE_UNAVAILABLE', reason: reason instanceof Error ? 'a reason' : 'the store failed' }
    await t.rejects(ask(async () => await new Promise((_resolve, reject) => { Object.assign(reject)(reason) })), wanted)
    await t.rejects(ask(() => { throw reason }), wanted)
  }
  t.equal(await ask(Object.assign(() => 'plain')), 'plain', 'one that answers no promise does as well')
})

t.test('who waits for a store gives up no sooner than told', async (t) => {
  for (const ms of [1, 9, 49, 249]) {
    const ask = createAsk(new MemoryStore(), ms)
    const busyUntil = performance.now() + 5
    while (performance.now() < busyUntil);
    const start = performance.now()
    await t.rejects(ask(() => new Promise(() => {})), { code: 'STORE_UNAVAILABLE' })
    t.ok(performance.now() - start >= ms, `${ms} ms, in a turn that began earlier`)
  }
})

t.test('what was given up takes no effect, whoever gave up', async (t) => {
  const server = await redisFor(t)
  const hasty = server.client({ commandTimeout: 49 })
  const given = [249, 49, 23].map((ms) => [`${ms} ms`, server.client(), ms] as const)
  for (const [what, client, ms] of [...given, ['a client of little patience', hasty, 249] as const]) {
    const store = new RedisStore(client)
    await store.open(within)
    for (let round = 0; round < 5; round++) {
      const { session: { sid } } = await store.create('u', creation({ sid: `${what} ${round}` }), within)
      let late: Promise<unknown> = Promise.resolve()
      await server.pause()
      const ask = createAsk(store, ms)
      await t.rejects(ask(async (store, within) => await (late = store.rotate('u', rotation(sid, 1), within))), { code: 'STORE_UNAVAILABLE' })
      await server.resume()
      await late.catch(() => {})
      t.match(await store.find('u', sid, within), { generation: 1 }, what)
    }
  }
})

t.test('a store that fails after its time is told of once', async (t) => {
  const seen = observe(t)
  const ask = createAsk(new MemoryStore(), 10)
  let failLate = () => {}
  const late = new Promise<never>((_resolve, reject) => { failLate = () => reject(new Error('late')) })
  await t.rejects(ask(() => late), { code: 'STORE_UNAVAILABLE', reason: 'no answer within 10 ms' })
  failLate()
  await t.rejects(late)
  t.match(seen(), [['store-error', { error: { message: 'no answer within 10 ms' } }]])
  t.equal(seen().length, 1)
})

t.test('a clock of the store is learned from its answers', async (t) => {
  const clock = new Clock()
  t.equal(clock.now(), undefined)
  const at = performance.now()
  clock.learn(1_000_000, at)
  const learned = (ms: number) => { const now = clock.now() ?? 0; return now >= ms - 1 && now < ms + 1000 }
  t.ok(learned(1_000_000))
  clock.learn(5_000_000, performance.now())
  t.ok(learned(5_000_000), 'a step forward is followed')
  clock.learn(2_000_000, performance.now())
  t.ok(learned(2_000_000), 'a step back is followed')
  clock.learn(2_000_000 - 500, performance.now() - 2000)
  t.ok(learned(2_000_000), 'a slower answer that agrees makes nothing worse')
})

t.test('MemoryStore forgets users whose sessions have all run out', async (t) => {
  const clock = new TestClock()
  const store: Store = new MemoryStore(clock)
  for (let i = 0; i < 4; i++) await store.create(`user ${i}`, creation({ idleLifetime: hour }), within)
  clock.pass(hour)
  const { session } = await store.create('user 9', creation(), within)
  t.ok(await store.find('user 9', session.sid, within))
  t.strictSame(await store.list('user 3', within), [])
})

t.test('a server that may throw sessions out is warned of when the application starts', async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  const start = async (redis = server.client()) => {
    const lines: string[] = []
    await build(t, { redis, server: { logger: { level: 'warn', stream: { write: (line) => { lines.push(line) } } } } })
    return lines.join('')
  }
  await admin.config('SET', 'maxmemory-policy', 'volatile-lru')
  t.equal(await start(), '', 'without a limit nothing is thrown out')
  await admin.config('SET', 'maxmemory', '100mb')
  t.match(await start(), /Redis evicts by volatile-lru when its 104857600 bytes are full/)
  await admin.acl('SETUSER', 'default', '-info')
  t.equal(await start(server.client({ enableReadyCheck: false })), '', 'a server that may not be asked is trusted')
  await admin.acl('SETUSER', 'default', '+info')
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  t.equal(await start(), '')
})
