import t from 'tap'
import { RedisStore, MemoryStore } from '../lib/index'
import { createAsk } from '../lib/store/ask'
import { Clock } from '../lib/store/clock'
import type { Store } from '../lib/store/store'
import * as scripts from '../lib/store/scripts'
import { TestClock, build, hour, minute, day } from './app'
import { age } from './store/age'
import { contract, creation, rotation, within } from './store/contract'
import { monitor } from './servers/monitor'
import { redisFor } from './servers/redis'

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

  t.test('every key has a TTL at every moment, and it is the end of the session that lives longest', async (t) => {
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
    for (const { sha } of Object.values(scripts)) t.match(sha, /^[0-9a-f]{40}$/)
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

t.test('whatever a store rejects with comes to one error', async (t) => {
  for (const reason of ['a word', undefined, new Error('a reason')] as unknown[]) {
    const ask = createAsk(new MemoryStore(), within)
    await t.rejects(ask(async () => await new Promise((_resolve, reject) => { Object.assign(reject)(reason) })), { code: 'STORE_UNAVAILABLE', reason: reason instanceof Error ? 'a reason' : 'the store failed' })
  }
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
