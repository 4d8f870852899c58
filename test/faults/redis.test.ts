import { Redis as Redis5 } from 'ioredis5'
import { Redis as Redis6 } from 'ioredis'
import t from 'tap'
import { exhaustDisk, freeDisk, hasDisk } from '../support/servers/disk'
import { proxyFor, type Proxy } from '../support/servers/proxy'
import { redisFor, type RedisServer } from '../support/servers/redis'
import { until } from '../support/servers/until'
import { observe } from '../support/events'
import { appFor } from './app'
import { into, User, type Answer } from './user'

type Test = InstanceType<typeof import('tap').Test>
type Fault = (proxy: Proxy, server: RedisServer) => Promise<unknown> | unknown

const storeTimeout = 300
// What a busy machine may add to a deadline.
const slack = 250

for (const [client, Redis] of Object.entries({
  'ioredis 6': Redis6,
  'ioredis 5': Redis5 as unknown as typeof Redis6
})) {
  async function setUp (t: Test, refreshToken = {}, more = {}) {
    const server = await redisFor(t, { args: ['--save', '3600 1'] })
    const proxy = await proxyFor(t, server)
    const redis = server.track(new Redis({ path: proxy.path, retryStrategy: () => 20 }))
    redis.on('error', () => {})
    const app = await appFor(t, { redis, storeTimeout: storeTimeout / 1000, refreshToken, ...more })
    const user = new User('ada', into(app))
    t.equal((await user.login()).status, 200)
    const seen = observe(t)
    const generation = async () => (await app.sessions.list('ada'))[0]?.generation
    return {
      server,
      proxy,
      redis,
      app,
      user,
      generation,
      reuses: () => seen().filter(([name]) => name === 'reuse').length
    }
  }

  function unavailable (t: Test, what: string, answer: Answer, took: number): void {
    t.match(
      answer,
      { status: 503, code: 'STORE_UNAVAILABLE', headers: { 'retry-after': /^\d+$/ }, cookies: [] },
      `${what} is unavailable and clears nothing`
    )
    t.ok(
      took < storeTimeout + slack,
      `${what} is answered within the deadline: ${Math.round(took)} ms`
    )
  }

  async function timed<T> (call: () => Promise<T>): Promise<[T, number]> {
    const start = performance.now()
    return [await call(), performance.now() - start]
  }

  function storeErrors (t: Test): () => string[] {
    const seen = observe(t)
    return () => seen().flatMap(([name, event]) =>
      name === 'store-error' ? (event as { error: Error }).error.message : [])
  }

  const fullDisk: [strike: Fault, mend: Fault] =
    [(_, server) => exhaustDisk(server), (_, server) => freeDisk(server)]

  // While these last Redis does nothing for us, and afterwards it is as if nothing had been asked.
  const outages: Record<string, [strike: Fault, mend: Fault]> = {
    'refuses connections': [(proxy) => proxy.close(), (proxy) => proxy.open()],
    'accepts connections and never answers': [
      (proxy) => {
        proxy.cut()
        proxy.requests = 'hold'
      },
      (proxy) => proxy.heal()
    ],
    'falls silent': [
      (proxy) => {
        proxy.requests = 'hold'
      },
      (proxy) => proxy.heal()
    ],
    'swallows commands': [
      (proxy) => {
        proxy.requests = 'swallow'
      },
      (proxy) => proxy.heal()
    ],
    'is frozen': [(_, server) => server.pause(), (_, server) => server.resume()],
    'hears commands too late': [
      (proxy) => {
        proxy.requests = { delay: storeTimeout * 1.5 }
      },
      (proxy) => proxy.heal()
    ],
    'is read-only': [
      (_, server) => server.client().replicaof('127.0.0.1', 1),
      (_, server) => server.client().replicaof('NO', 'ONE')
    ],
    'has too few replicas to write': [
      (_, server) => server.client().config('SET', 'min-replicas-to-write', 1),
      (_, server) => server.client().config('SET', 'min-replicas-to-write', 0)
    ],
    'wants another password': [
      async (proxy, server) => {
        await server.client().config('SET', 'requirepass', 'changed')
        proxy.cut()
      },
      (_, server) => server.client({ password: 'changed' }).config('SET', 'requirepass', '')
    ],
    'is down': [(_, server) => server.end(), (_, server) => server.start()],
    ...hasDisk ? { 'has a full disk': fullDisk } : {}
  }

  for (const [fault, [strike, mend]] of Object.entries(outages)) {
    t.test(`${client}: Redis ${fault}`, async (t) => {
      const { server, proxy, app, user, generation, reuses } = await setUp(t)
      const [session] = await app.sessions.list('ada')
      await strike(proxy, server)
      for (const call of ['refresh', 'logout', 'login'] as const) {
        unavailable(t, call, ...(await timed(async () => await user[call]())))
      }
      await t.rejects(app.sessions.revoke('ada', String(session?.sid)), {
        code: 'STORE_UNAVAILABLE'
      })
      t.equal(
        (await user.send('GET', '/me', { authorization: `Bearer ${user.access}` })).status,
        200,
        'an access token needs no store'
      )
      await mend(proxy, server)
      await until('service to resume', async () => (await user.refresh()).status === 200)
      t.equal(await generation(), 2, 'nothing that was answered 503 has taken effect')
      t.equal((await app.sessions.list('ada')).length, 1)
      t.equal(reuses(), 0)
    })
  }

  t.test(`${client}: Redis is slow, just under the deadline`, async (t) => {
    const { proxy, user, generation } = await setUp(t)
    proxy.replies = { delay: storeTimeout * 0.6 }
    t.equal((await user.refresh()).status, 200)
    proxy.heal()
    t.equal(await generation(), 2)
  })

  // In these the script has run and nobody hears of it: a repeat within the grace period brings
  // what was lost.
  const lost: Record<string, Fault> = {
    'the answer comes just over the deadline': (proxy) => {
      proxy.replies = { delay: storeTimeout * 1.3 }
    },
    'the answer is lost': (proxy) => {
      proxy.replies = 'swallow'
    },
    'the connection is cut before the answer': (proxy) => {
      proxy.replies = { cut: 0 }
    },
    'the connection is cut in the middle of the answer': (proxy) => {
      proxy.replies = { cut: 25 }
    }
  }

  for (const [fault, strike] of Object.entries(lost)) {
    t.test(`${client}: a refresh has run and ${fault}`, async (t) => {
      const { server, proxy, user, generation, reuses } = await setUp(t)
      const { token } = user
      await strike(proxy, server)
      const [answer, took] = await timed(async () => await user.present(token))
      unavailable(t, 'refresh', answer, took)
      proxy.heal()
      await until('service to resume', async () => (await user.refresh()).status === 200)
      t.equal(await generation(), 2, 'the token was spent once')
      t.equal((await user.present(token)).token, user.token, 'every repeat brings the same token')
      t.equal((await user.refresh()).status, 200)
      t.equal(reuses(), 0)
    })
  }

  t.test(`${client}: the connection is cut once in the middle of the answer`, async (t) => {
    const { proxy, redis, user, generation, reuses } = await setUp(t)
    redis.once('close', () => proxy.heal())
    proxy.replies = { cut: 25 }
    t.equal(
      (await user.refresh()).status,
      200,
      'the Redis client sends the command again, and that is a repeat'
    )
    t.equal(await generation(), 2)
    t.equal(reuses(), 0)
  })

  t.test(`${client}: Redis is out of memory and evicts nothing`, async (t) => {
    const { server, user, generation } = await setUp(t)
    const admin = server.client()
    await admin.config('SET', 'maxmemory', 1)
    unavailable(t, 'refresh', ...(await timed(async () => await user.refresh())))
    unavailable(t, 'login', ...(await timed(async () => await new User('bob', user.send).login())))
    t.equal(await generation(), 1)
    t.equal((await user.logout()).status, 204, 'ending a session needs no memory')
    await admin.config('SET', 'maxmemory', 0)
    t.match(await user.refresh(), { status: 401, code: 'REFRESH_TOKEN_INVALID' })
  })

  t.test(`${client}: a full disk touches no access token, and no news of endings`, {
    skip: !hasDisk && 'no disk can be filled here'
  }, async (t) => {
    const { server, user, app, generation } = await setUp(t, {}, { revocation: 'push' })
    const admin = server.client()
    const guard = async ({ access }: User, path = '/me') =>
      (await user.send('GET', path, { authorization: `Bearer ${access}` })).status
    const other = new User('bob', user.send)
    await other.login()
    await other.logout()
    await until('the news of the ending', async () => await guard(other) === 401)
    await exhaustDisk(server)

    const errors = storeErrors(t)
    const { token } = user
    unavailable(t, 'refresh', ...(await timed(async () => await user.refresh())))
    t.match(errors(), [/^MISCONF Errors writing to the AOF file/], 'the log says why')
    t.equal(await guard(user, '/live'), 200, 'to read needs no disk')
    t.equal(await guard(other, '/live'), 401)
    const published = async () =>
      Number(/cmdstat_publish:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])
    const before = await published()
    await until('the next heartbeats', async () => await published() >= before + 2)
    t.equal(errors().length, 1, 'nobody is cut off from the news of endings')
    t.equal(await guard(user), 200)
    t.equal(await guard(other), 401, 'what had ended is refused as before')
    await t.rejects(app.sessions.revokeAll('ada'), { code: 'STORE_UNAVAILABLE' })

    await freeDisk(server)
    t.equal(await generation(), 1)
    t.equal((await user.present(token)).status, 200, 'the same refresh token goes on')
    t.equal(await generation(), 2)
    t.equal((await user.logout()).status, 204)
    await until('the news of the ending', async () => await guard(user) === 401)
    await server.kill()
    await server.start(['--appendonly', 'yes'])
    t.strictSame(await admin.keys('jwt:*'), [], 'and both endings are on the disk')
  })

  t.test(`${client}: Redis comes back with nothing`, async (t) => {
    const { server, user, reuses } = await setUp(t)
    await server.kill()
    await server.start()
    const answer = await user.refreshThrough(
      async () =>
        await until('the client to be back', async () => (await server.client().ping()) === 'PONG')
    )
    t.match(answer, { status: 401, code: 'REFRESH_TOKEN_INVALID', cookies: [] })
    t.equal(reuses(), 0, 'a loss is no theft')
    t.equal((await user.login()).status, 200)
  })
}
