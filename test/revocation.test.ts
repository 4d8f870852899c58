import { randomUUID } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import Redis5, { Cluster as Cluster5 } from 'ioredis5'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import t from 'tap'
import { MemoryStore, RedisStore, type AuthPluginOptions, type Store } from '../lib/index'
import { createWatch } from '../lib/session/revocation-watch'
import { createEmit } from '../lib/events'
import { boundStore } from '../lib/store/bounded'
import type { Listener } from '../lib/store/store'
import { TestClock, build, minute, second, type Client, type TestApp } from './support/app'
import { observe } from './support/events'
import { clusterFor } from './support/servers/cluster'
import { monitor } from './support/servers/monitor'
import { proxyFor } from './support/servers/proxy'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

type Test = InstanceType<typeof import('tap').Test>
type Options = Partial<AuthPluginOptions>

const push = { revocation: 'push' } as const

/** Waits until this node refuses the client's access token because its session is over. */
async function refused (node: TestApp, client: Client): Promise<void> {
  await until(
    'the ended session to be refused',
    async () => (await node.me(client)).json().code === 'SESSION_REVOKED',
    5_000
  )
}

/** A node whose log can be read, with its messages and levels. */
async function logged (
  t: Test,
  options: Options
): Promise<TestApp & { lines: () => Array<{ level: number, msg: string, reason?: string }> }> {
  const lines: string[] = []
  const node = await build(t, {
    ...options,
    ...push,
    server: {
      logger: {
        stream: {
          write: (line: string) => {
            lines.push(line)
          }
        }
      }
    }
  })
  return { ...node, lines: () => lines.map((line) => JSON.parse(line)) }
}

const endings: Record<
  string,
  (nodes: { a: TestApp, client: Client, sub: string, sid: string }) => Promise<unknown>
> = {
  'the logout route': async ({ a, client }) => await a.logout(client),
  'the logout route, for all': async ({ a, client }) =>
    await a.logout(client, { payload: { all: true } }),
  revoke: async ({ a, sub, sid }) => await a.app.sessions.revoke(sub, sid),
  revokeAll: async ({ a, sub }) => await a.app.sessions.revokeAll(sub),
  'a login above maxSessions': async ({ a, sub }) => {
    for (let i = 0; i < 3; i++) await a.login({ sub })
  },
  'a reuse': async ({ a, client }) => {
    for (const cookie of [client.cookie, client.cookie]) await a.refresh({ cookie })
  },
  'a claims hook that denies': async ({ a, client, sub }) => {
    denied.add(sub)
    await a.refresh(client)
  }
}
const denied = new Set<string>()
const claims: AuthPluginOptions['claims'] = (session) => denied.has(session.sub) ? null : {}

/** What push promises on every backend; `options` makes those of one more node. */
function battery (t: Test, name: string, options: () => Options): void {
  t.test(name, async (t) => {
    const more = { ...push, claims, maxSessions: 3, refreshToken: { gracePeriod: 0 } }
    const a = await build(t, { ...options(), ...more })
    const b = await build(t, { ...options(), ...more })

    for (const [way, end] of Object.entries(endings)) {
      t.test(`a session that ${way} ends on one node is refused by both`, async (t) => {
        const sub = randomUUID()
        const client = await a.login({ sub })
        const { sid } = (await b.me(client)).json()
        t.ok(sid)
        await end({ a, client, sub, sid })
        t.match(
          (await a.me(client)).json(),
          { statusCode: 401, code: 'SESSION_REVOKED' },
          'at once where it ended'
        )
        await refused(b, client)
        t.match((await b.me(client)).headers, {
          'www-authenticate': /^Bearer error="invalid_token", error_description=/
        })
      })
    }

    t.test('a node that starts later refuses what ended before, and lets in what lives', async (t) => {
      const sub = randomUUID()
      const [ended, living] = [await a.login({ sub }), await a.login({ sub })]
      await a.logout(ended)
      const late = await build(t, { ...options(), ...more })
      t.match((await late.me(ended)).json(), { code: 'SESSION_REVOKED' })
      t.equal((await late.me(living)).statusCode, 200)
    })
  })
}

t.test('endings are pushed to every node', async (t) => {
  const memory = new MemoryStore()
  battery(t, 'in memory', () => ({ store: memory }))
  const server = await redisFor(t)
  battery(t, 'on Redis', () => ({ redis: server.client() }))
  const cluster = await clusterFor(t)
  battery(t, 'on Redis Cluster', () => ({ redis: cluster.client() }))
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  battery(t, 'on Redis Cluster, by ioredis 5', () => ({
    redis: cluster.track(new Cluster5(nodes))
  }))
  battery(t, 'on Redis Cluster, by iovalkey', () => ({
    redis: cluster.track(new ValkeyCluster(nodes))
  }))
})

t.test('endings are pushed whatever the client', async (t) => {
  const server = await redisFor(t, { args: ['--requirepass', 'a password'] })
  const { path } = server
  const password = 'a password'
  const clients: Record<string, Options> = {
    'ioredis 5': { redis: server.track(new Redis5({ path, password })) },
    iovalkey: { redis: server.track(new Valkey({ path, password })) },
    'a client with a keyPrefix': { redis: server.client({ password, keyPrefix: 'mine:' }) },
    'a client that sleeps until it is needed': {
      redis: server.client({ password, lazyConnect: true })
    },
    'a client without an offline queue': {
      redis: server.client({ password, enableOfflineQueue: false })
    },
    'a store with a prefix': {
      store: new RedisStore(server.client({ password }), { prefix: 'app:' })
    }
  }
  for (const [name, options] of Object.entries(clients)) {
    t.test(name, async (t) => {
      const [a, b] = [
        await build(t, { ...options, ...push }),
        await build(t, { ...options, ...push })
      ]
      const client = await a.login()
      t.equal((await b.me(client)).statusCode, 200)
      await a.logout(client)
      await refused(b, client)
    })
  }
})

t.test('no request asks the store, but the first of a session on a node', async (t) => {
  const server = await redisFor(t)
  const [a, b] = [
    await build(t, { redis: server.client(), ...push }),
    await build(t, { redis: server.client(), ...push })
  ]
  const client = await a.login()
  const seen = await monitor(server)
  const commands = async () =>
    (await seen.flush()).map(([name]) => name).filter((name) => name !== 'publish')

  await Promise.all(Array.from({ length: 20 }, async () => await b.me(client)))
  t.strictSame(await commands(), ['evalsha'], 'requests in parallel share the question')
  for (let i = 0; i < 50; i++) t.equal((await b.me(client)).statusCode, 200)
  t.strictSame(await commands(), [])
  await a.logout(client)
  await refused(b, client)
  await commands()
  for (let i = 0; i < 50; i++) t.equal((await b.me(client)).statusCode, 401)
  t.strictSame(await commands(), [])
})

t.test('without push an access token lives out its lifetime, and a request asks nobody', async (t) => {
  const server = await redisFor(t)
  const { login, logout, me } = await build(t, { redis: server.client() })
  const client = await login()
  await logout(client)
  const seen = await monitor(server)
  t.equal((await me(client)).statusCode, 200)
  t.strictSame(await seen.flush(), [])
  t.equal(
    await server
      .client()
      .pubsub('NUMSUB', 'jwt:ended')
      .then(([, subscribers]) => subscribers),
    0
  )
})

/** Two nodes: `a` reaches the server, `b` through a proxy that can be spoilt. */
async function apart (t: Test, args: string[] = []) {
  const server = await redisFor(t, { args })
  const proxy = await proxyFor(t, server)
  const a = await build(t, { redis: server.client(), ...push })
  const b = await logged(t, { redis: server.client({ path: proxy.path }), storeTimeout: 0.2 })
  const events = observe(t)
  const [before, during, living] = [await a.login(), await a.login(), await a.login()]
  for (const client of [before, during, living]) t.equal((await b.me(client)).statusCode, 200)
  await a.logout(before)
  await refused(b, before)
  const told = async (reason: RegExp) =>
    await until('the node to say that it is disconnected', () =>
      events().some(
        ([name, { error }]) => name === 'store-error' && reason.test(error?.message ?? '')
      )
    )

  const listened = async (times: number) =>
    await until(
      `it to listen for the ${times}. time`,
      () =>
        b.lines().filter(({ msg }) => msg === 'listening on pub/sub for ended sessions').length >=
        times
    )

  return {
    server,
    proxy,
    b,
    told,
    listened,
    /** Ends a session that `b` cannot hear of, and checks what it does meanwhile. */
    meanwhile: async () => {
      await a.logout(during)
      t.equal((await b.me(during)).statusCode, 200, 'what it has not heard of passes')
      t.equal((await b.me(living)).statusCode, 200)
      t.match(
        (await b.me(before)).json(),
        { code: 'SESSION_REVOKED' },
        'what it knows to have ended stays refused'
      )
    },
    caughtUp: async () => {
      await refused(b, during)
      t.equal((await b.me(living)).statusCode, 200)
      t.match((await b.me(before)).json(), { code: 'SESSION_REVOKED' })
    }
  }
}

t.test('a password that is refused on the way to the news stays out of the event', async (t) => {
  const events = observe(t)
  const server = await redisFor(t)
  const admin = server.client()
  await admin.config('SET', 'requirepass', 'hunter2')
  await admin.auth('hunter2')
  const { app } = await build(t, { redis: server.client({ password: 'hunter2' }), ...push })
  await app.ready()
  await admin.config('SET', 'requirepass', 'other')
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  const told = await until('the password to be refused', () =>
    events().find(([, { error }]) => /WRONGPASS|NOAUTH/.test(error?.message ?? '')))
  t.equal(told[0], 'store-error')
  t.notMatch(inspect(events(), { depth: 9 }), 'hunter2')
})

t.test('a node whose connections are refused says so, once in its log, and catches up', async (t) => {
  const { proxy, b, told, meanwhile, caughtUp } = await apart(t)
  const events = observe(t)
  await proxy.close()
  await told(/closed|ECONN|ENOENT/)
  await meanwhile()
  await until(
    'several attempts to fail',
    () => events().filter(([name]) => name === 'store-error').length > 2
  )
  t.match(
    b.lines().filter(({ level }) => level === 40),
    [{ msg: /disconnected/ }],
    'one line, however many attempts'
  )
  await proxy.open()
  await caughtUp()
  t.equal(
    b.lines().filter(({ msg }) => msg === 'listening on pub/sub for ended sessions').length,
    2
  )
  t.notOk(b.lines().some(({ msg }) => /jwt:|eyJ/.test(msg)))
})

t.test('a node that news silently fails to reach notices by the heartbeat, and catches up', async (t) => {
  const { proxy, told, meanwhile, caughtUp } = await apart(t)
  proxy.replies = 'swallow'
  await meanwhile()
  await told(/no heartbeat came through/)
  proxy.heal()
  await caughtUp()
})

t.test('a server that stands still is noticed by the heartbeat, and heard again once it goes on', async (t) => {
  const { server, told, meanwhile, caughtUp, listened, proxy } = await apart(t)
  await server.pause()
  await told(/no heartbeat came through/)
  await told(/no connection in time/)
  await server.resume()
  await listened(2)
  await proxy.close()
  await meanwhile()
  await proxy.open()
  await caughtUp()
})

t.test('a connection that the server kills is replaced', async (t) => {
  const { server, told, listened, meanwhile, caughtUp, proxy } = await apart(t)
  await server.client().call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await told(/closed/)
  await listened(2)
  await server.client().call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await proxy.close()
  await meanwhile()
  await proxy.open()
  await caughtUp()
})

t.test('a session that a server has lost is refused once the client has reconnected', async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  const node = await build(t, { redis: server.client(), ...push })
  const client = await node.login()
  t.equal((await node.me(client)).statusCode, 200)
  // As a failover does it: data is lost, and the connection of the subscription lives on.
  await admin.flushall()
  t.equal((await node.me(client)).statusCode, 200, 'nobody was told')
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await refused(node, client)
})

t.test('a server that was started anew is heard again', async (t) => {
  const { server, meanwhile, caughtUp, proxy, told } = await apart(t, [
    '--appendonly',
    'yes',
    '--appendfsync',
    'always'
  ])
  await proxy.close()
  await told(/closed|ECONN|ENOENT/)
  await meanwhile()
  await server.restart()
  await proxy.open()
  await caughtUp()
})

t.test('a node that starts while the store is down says so, lets good tokens pass, and listens as soon as it can', async (t) => {
  const server = await redisFor(t, { args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  const a = await build(t, { redis: server.client(), ...push })
  const [ended, living] = [await a.login(), await a.login()]
  await a.logout(ended)
  await server.end()
  const events = observe(t)
  const b = await logged(t, { redis: server.client(), storeTimeout: 0.1 })
  t.ok(events().some(([name]) => name === 'store-error'))
  t.match(
    b.lines().filter(({ level }) => level === 40),
    [{ msg: /not available yet/ }, { msg: /disconnected/ }]
  )
  t.equal((await b.me(ended)).statusCode, 200)
  await server.start()
  await refused(b, ended)
  t.equal((await b.me(living)).statusCode, 200)
})

t.test('a node that the server leaves without an answer starts within the time it has for the store', async (t) => {
  const server = await redisFor(t)
  const redis = server.client()
  await redis.ping()
  await server.pause()
  const start = performance.now()
  const node = await logged(t, { redis, storeTimeout: 0.1 })
  t.ok(performance.now() - start < 2 * second)
  t.match(
    node.lines().filter(({ level }) => level === 40),
    [{ msg: /not available yet/ }, { msg: /disconnected/, reason: 'no answer within 100 ms' }]
  )
  await server.resume()
  await until('it to listen', () =>
    node.lines().some(({ msg }) => msg === 'listening on pub/sub for ended sessions')
  )
})

t.test('where the server forbids the channel, the log says so', async (t) => {
  const server = await redisFor(t)
  await server.client().acl('SETUSER', 'deaf', 'on', '>secret', '~*', '+@all', 'resetchannels')
  await server.client().acl('SETUSER', 'mute', 'on', '>secret', '~*', '&*', '+@all', '-publish')
  for (const [username, reason] of [['deaf', /channel/], ['mute', /publish/]] as const) {
    const node = await logged(t, {
      redis: server.client({ username, password: 'secret' }),
      storeTimeout: 2
    })
    t.match(node.lines().filter(({ level }) => level === 40), [{ msg: /disconnected/, reason }])
    const client = await node.login()
    await node.logout(client)
    t.match(
      (await node.me(client)).json(),
      { code: 'SESSION_REVOKED' },
      'sessions end all the same'
    )
  }
})

t.test('a store that does not answer a question lets a good token pass, and is asked again', async (t) => {
  const server = await redisFor(t)
  const proxy = await proxyFor(t, server)
  const a = await build(t, { redis: server.client(), ...push })
  const client = await a.login()
  await a.logout(client)
  const b = await build(t, {
    redis: server.client({ path: proxy.path }),
    ...push,
    storeTimeout: 0.1
  })
  proxy.requests = 'hold'
  t.equal((await b.me(client)).statusCode, 200)
  proxy.heal()
  await refused(b, client)
})

t.test('a node that is cut off asks the store where the application wants it', async (t) => {
  let doubtful = 0
  const doubt = () => { doubtful = Date.now() + 3 * second }
  channel('fastify-jwt-sessions:store-error').subscribe(doubt)
  t.teardown(() => channel('fastify-jwt-sessions:store-error').unsubscribe(doubt))
  const server = await redisFor(t)
  const a = await build(t, { redis: server.client(), ...push })
  const redis = server.client()
  const b = await build(t, {
    redis,
    ...push,
    extend: (app) => {
      app.get(
        '/guarded',
        {
          onRequest: async (request) => {
            await request.authenticate({ live: Date.now() < doubtful })
          }
        },
        () => 'in'
      )
    }
  })
  const [ended, living] = [await a.login(), await a.login()]
  for (const client of [ended, living]) t.equal((await b.me(client, '/guarded')).statusCode, 200)
  await server.client().acl('SETUSER', 'default', 'resetchannels')
  await server.client().call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until('it to say so', () => doubtful > 0)
  await a.logout(ended)
  t.equal((await b.me(ended)).statusCode, 200, 'other routes go on as without push')
  t.match((await b.me(ended, '/guarded')).json(), { code: 'SESSION_REVOKED' })
  t.match((await b.me(ended)).json(), { code: 'SESSION_REVOKED' }, 'what was found out stays known')
  t.equal((await b.me(living, '/guarded')).statusCode, 200)
})

t.test('push on a store that cannot tell of endings is a wrong option', async (t) => {
  const store = new MemoryStore()
  await t.rejects(
    build(t, { ...push, store: Object.assign(Object.create(store), { listen: undefined }) }),
    { code: 'INVALID_OPTION', message: /revocation/ }
  )
})

t.test('what a node remembers', async (t) => {
  const clock = new TestClock()
  const listeners: Listener[] = []
  const answers: Array<(session: object | undefined) => void> = []
  const emit = createEmit('/auth')
  const store = {
    now: clock.now,
    find: async () =>
      await new Promise((resolve) => {
        answers.push(resolve)
      }),
    listen: (listener: Listener) => {
      listeners.push(listener)
      listener.listening()
      return () => {}
    }
  } as unknown as Store
  const watch = createWatch(
    boundStore(store, minute, emit),
    30 * minute,
    { info () {}, warn () {} } as never,
    emit
  )
  await watch.open()
  const [listener] = listeners
  const answer = async (session?: object) => {
    answers.shift()?.(session)
    await new Promise(setImmediate)
  }

  t.test('an answer that is overtaken by the news is not believed', async (t) => {
    const asking = watch.hasEnded('overtaken', 'ada')
    listener?.ended('overtaken')
    await answer({})
    t.equal(await asking, true)
    t.equal(watch.hasEnded('overtaken', 'ada'), true)
  })

  t.test('an answer from before a gap says nothing about what was missed in it', async (t) => {
    const asking = watch.hasEnded('across', 'ada')
    listener?.lost(new Error('gone'))
    listener?.listening()
    const again = watch.hasEnded('across', 'ada')
    await answer({})
    t.equal(await asking, false)
    t.ok(
      watch.hasEnded('across', 'ada') instanceof Promise,
      'it is asked about until an answer from after the gap is there'
    )
    await answer()
    t.equal(await again, true)
    t.equal(watch.hasEnded('across', 'ada'), true)
  })

  t.test('an ended session is forgotten when its access tokens have run out, and asked about should it be met again', async (t) => {
    listener?.ended('old')
    clock.pass(10 * minute)
    listener?.ended('middle')
    listener?.ended('old')
    clock.pass(25 * minute)
    listener?.ended('new')
    t.equal(watch.hasEnded('old', 'ada'), true, 'heard of twice, kept from the second time')
    clock.pass(6 * minute)
    listener?.ended('newer')
    const asking = watch.hasEnded('old', 'ada')
    t.ok(asking instanceof Promise)
    await answer()
    t.equal(await asking, true)
  })

  t.test('however many end, the 100,000 that ended last are remembered', async (t) => {
    const asking = watch.hasEnded('first', 'ada')
    listener?.ended('first')
    await answer({})
    t.equal(await asking, true)
    for (let i = 1; i < 100_000; i++) listener?.ended(`one of many ${i}`)
    t.equal(watch.hasEnded('first', 'ada'), true)
    listener?.ended('last')
    const again = watch.hasEnded('first', 'ada')
    t.ok(again instanceof Promise, 'one that was forgotten is asked about again')
    await answer()
    t.equal(await again, true)
    t.equal(watch.hasEnded('last', 'ada'), true)
  })

  t.test('a living session is asked about once, until there is a gap', async (t) => {
    const asking = watch.hasEnded('living', 'ada')
    await answer({})
    t.equal(await asking, false)
    t.equal(watch.hasEnded('living', 'ada'), false)
    listener?.lost(new Error('gone'))
    t.equal(watch.hasEnded('living', 'ada'), false)
    listener?.listening()
    t.ok(watch.hasEnded('living', 'ada') instanceof Promise)
    await answer({})
  })
})
