import { randomUUID } from 'node:crypto'
import t from 'tap'
import { MemoryStore, type AuthPluginOptions } from '../lib/index'
import {
  TestClock,
  build,
  day,
  hour,
  minute,
  peek,
  second,
  toClient,
  type Client,
  type TestApp
} from './support/app'
import { observe } from './support/events'
import { monitor } from './support/servers/monitor'
import { redisFor, startRedis } from './support/servers/redis'
import { until } from './support/servers/until'
import { age } from './support/age'

type Test = InstanceType<typeof import('tap').Test>
type Options = Partial<AuthPluginOptions>

/**
 * A backend: options for one more node on it, and a way to let time pass for the sessions that it
 * holds.
 */
interface Backend {
  options: () => Options
  pass: (ms: number) => Promise<void> | void
}

const sidOf = ({ body }: Client) => String(peek(body.access_token).sid)
const many = (count: number) => Array.from({ length: count })

/** What a session's end must mean, whatever was in flight. */
async function isOver (
  t: Test,
  { app, me, refresh }: TestApp,
  client: Client,
  ...cookies: string[]
): Promise<void> {
  const { sub, sid } = peek(client.body.access_token) as { sub: string, sid: string }
  t.notOk(
    (await app.sessions.list(sub)).some((session) => session.sid === sid),
    'it is not listed'
  )
  t.match((await me(client, '/live')).json(), { statusCode: 401, code: 'SESSION_REVOKED' })
  for (const cookie of [client.cookie, ...cookies]) {
    t.match((await refresh({ cookie })).json(), { code: 'REFRESH_TOKEN_INVALID' })
  }
}

function battery (t: Test, name: string, { options, pass }: Backend): void {
  t.test(name, async (t) => {
    const node = await build(t, options())
    const other = await build(t, options())
    const { app, login, refresh, me } = node
    const { sessions } = app

    t.test('50 parallel logins are 50 sessions in the list', async (t) => {
      const sub = randomUUID()
      const clients = await Promise.all(
        many(50).map(async (_, i) => (await [node, other][i % 2]?.login({ sub })) as Client)
      )
      const listed = await sessions.list(sub)
      t.strictSame(listed.map(({ sid }) => sid).sort(), clients.map(sidOf).sort())
      t.ok(
        listed.every(({ createdAt }, i) => createdAt >= (listed[i - 1]?.createdAt ?? 0)),
        'oldest first'
      )
    })

    t.test('the list tells of each session what its user may want to know', async (t) => {
      const sub = randomUUID()
      const claims = { roles: [], big: 2 ** 53 - 1, nested: { text: 'line\nand "quote" ☎' } }
      const client = await login({ sub, ...claims }, { device: 'Ada’s phone\n' })
      const [first, ...none] = await sessions.list(sub)
      t.strictSame(none, [])
      t.strictSame(first, {
        sid: sidOf(client),
        sub,
        claims: { sub, ...claims },
        device: 'Ada’s phone\n',
        data: null,
        transport: 'cookie',
        bound: null,
        generation: 1,
        createdAt: first?.createdAt,
        refreshedAt: first?.createdAt,
        expiresAt: (first?.createdAt ?? 0) + 14 * day,
        deadline: (first?.createdAt ?? 0) + 90 * day
      })
      await login({ sub })
      t.match((await sessions.list(sub)).map(({ device }) => device), ['Ada’s phone\n', null])
    })

    t.test('a refresh moves refreshedAt and expiresAt, and leaves createdAt and the deadline', async (t) => {
      const sub = randomUUID()
      let client = await login({ sub })
      for (const generation of [2, 3]) {
        await pass(hour)
        const [before] = await sessions.list(sub)
        client = toClient(await refresh(client))
        const [after, ...none] = await sessions.list(sub)
        t.strictSame(none, [], 'one entry for one session')
        t.match(after, {
          sid: before?.sid,
          generation,
          createdAt: before?.createdAt,
          deadline: before?.deadline
        })
        t.ok((after?.refreshedAt ?? 0) >= (before?.refreshedAt ?? 0) + hour)
        t.equal(after?.expiresAt, (after?.refreshedAt ?? 0) + 14 * day)
      }
    })

    t.test("a store's clock that steps back, before the login or further, changes no verdict", async (t) => {
      for (const back of [hour, 20 * day]) {
        const sub = randomUUID()
        const client = await login({ sub })
        await pass(-back)
        t.equal((await refresh(client)).statusCode, 200)
        const [session] = await sessions.list(sub)
        t.ok(Math.abs((session?.createdAt ?? 0) - (session?.refreshedAt ?? 0) - back) < minute)
        t.equal((session?.expiresAt ?? 0) - (session?.refreshedAt ?? 0), 14 * day)
        await pass(minute)
        t.match(
          (await refresh(client)).json(),
          { code: 'REFRESH_TOKEN_REUSED' },
          'the grace period is over'
        )
        await pass(back)
      }
    })

    t.test('no session that has run out is listed, or can be ended', async (t) => {
      const sub = randomUUID()
      const [idle, used] = [await login({ sub }), await login({ sub })]
      await pass(10 * day)
      await refresh(used)
      await pass(5 * day)
      t.strictSame((await sessions.list(sub)).map(({ sid }) => sid), [sidOf(used)])
      t.equal(await sessions.revoke(sub, sidOf(idle)), false)
      t.equal(await sessions.revokeAll(sub), 1)
      t.equal((await refresh(idle)).statusCode, 401)
    })

    t.test('one session is ended, once, and no other', async (t) => {
      const sub = randomUUID()
      const [one, two] = [await login({ sub }), await login({ sub })]
      t.equal(await sessions.revoke(sub, sidOf(one)), true)
      t.equal(await sessions.revoke(sub, sidOf(one)), false)
      await isOver(t, node, one)
      await isOver(t, other, one)
      t.equal(
        (await me(one)).statusCode,
        200,
        'without a check its access token lives out its lifetime'
      )
      t.equal((await me(two, '/live')).statusCode, 200)
      t.equal((await refresh(two)).statusCode, 200)
    })

    t.test("another user's session is one that does not exist", async (t) => {
      // Names that differ in nothing that UTF-8 could express are two users all the same.
      for (const [ada, eve] of [
        [randomUUID(), randomUUID()],
        ['\ud800', '\ud801'],
        ['ada', 'Ada'],
        ['a}b', 'a}c']
      ] as [string, string][]) {
        const client = await login({ sub: ada })
        const own = await login({ sub: eve })
        t.equal(await sessions.revoke(eve, sidOf(client)), false)
        t.equal(await sessions.revokeAll(eve, { except: sidOf(client) }), 1)
        await isOver(t, node, own)
        t.strictSame(
          (await sessions.list(ada)).map(({ sid }) => sid),
          [sidOf(client)]
        )
        t.strictSame(await sessions.list(eve), [])
        t.equal((await refresh(client)).statusCode, 200)
        t.equal(await sessions.revokeAll(ada), 1)
      }
    })

    t.test('all sessions are ended, or all but one', async (t) => {
      const sub = randomUUID()
      const [one, two, three] = [await login({ sub }), await login({ sub }), await login({ sub })]
      t.equal(await sessions.revokeAll(sub, { except: sidOf(two) }), 2)
      await isOver(t, node, one)
      await isOver(t, other, three)
      t.equal((await me(two, '/live')).statusCode, 200)
      t.equal(
        await sessions.revokeAll(sub, { except: sidOf(one) }),
        1,
        'one that is over keeps nothing alive'
      )
      await isOver(t, node, two)
      t.equal(await sessions.revokeAll(sub), 0)
      const again = await login({ sub })
      t.equal(
        await sessions.revokeAll(sub, { except: null }),
        1,
        'a request that was not let in has no session to keep'
      )
      await isOver(t, node, again)
    })

    t.test('a login right after all were ended works', async (t) => {
      const sub = randomUUID()
      for (let i = 0; i < 20; i++) {
        await sessions.revokeAll(sub)
        const client = await login({ sub })
        t.equal((await me(client, '/live')).statusCode, 200)
        t.equal((await refresh(client)).statusCode, 200)
      }
    })

    t.test('a login that races with the ending of all is ended or listed', async (t) => {
      const sub = randomUUID()
      for (let round = 0; round < 15; round++) {
        const racing = many(8).map(async (_, i) => {
          const client =
            i === 4
              ? await other.app.sessions.revokeAll(sub)
              : await (i % 2 === 0 ? node : other).login({ sub })
          return typeof client === 'number' ? [] : [client]
        })
        const clients = (await Promise.all(racing)).flat()
        const listed = (await sessions.list(sub)).map(({ sid }) => sid)
        for (const client of clients) {
          const alive = listed.includes(sidOf(client))
          t.equal((await me(client, '/live')).statusCode, alive ? 200 : 401)
          t.equal((await refresh(client)).statusCode, alive ? 200 : 401)
        }
        t.ok(
          listed.every((sid) => clients.some((client) => sidOf(client) === sid)),
          'nothing of an earlier round is left'
        )
        await sessions.revokeAll(sub)
      }
    })

    t.test('a refresh that races with any ending never brings the session back', async (t) => {
      const denied = new Set<string>()
      const strict = await build(t, {
        ...options(),
        maxSessions: 1,
        refreshToken: { gracePeriod: 0 },
        claims: async ({ sub }) => denied.has(sub) ? null : {}
      })
      const endings: Record<
        string,
        (sub: string, client: Client, spent: Client) => Promise<unknown>
      > = {
        logout: async (_sub, client) => await other.logout(client),
        'logout of all': async (_sub, client) =>
          await other.logout(client, { payload: { all: true } }),
        revoke: async (sub, client) => await other.app.sessions.revoke(sub, sidOf(client)),
        revokeAll: async (sub) => await other.app.sessions.revokeAll(sub),
        'a login above maxSessions': async (sub) => await strict.login({ sub }),
        reuse: async (_sub, _client, spent) => await strict.refresh(spent),
        'a denial': async (sub, client) => {
          denied.add(sub)
          await strict.refresh(client)
        }
      }
      for (const [name, end] of Object.entries(endings)) {
        for (let round = 0; round < 4; round++) {
          const sub = randomUUID()
          const spent = await login({ sub })
          const client = toClient(await refresh(spent))
          const racing = [
            ...many(round).map(async () => await refresh(client)),
            end(sub, client, spent),
            ...many(4 - round).map(async () => await refresh(client))
          ]
          const answers = await Promise.all(racing)
          const cookies = answers.flatMap((answer) =>
            isRefreshed(answer) ? [toClient(answer).cookie] : []
          )
          t.equal(new Set(cookies).size <= 1, true, `${name}: one rotation at most`)
          await isOver(t, node, client, ...cookies)
        }
      }
    })

    t.test('a login above maxSessions ends the oldest session', async (t) => {
      const sub = randomUUID()
      const three = await build(t, { ...options(), maxSessions: 3 })
      const clients: Client[] = []
      for (let i = 0; i < 3; i++) {
        clients.push(await three.login({ sub }))
        await pass(minute)
      }
      const [first, second, third] = clients as [Client, Client, Client]
      t.equal(
        (await refresh(first)).statusCode,
        200,
        'which is used does not matter, only which is oldest'
      )
      const events = observe(t)
      const fourth = await three.login({ sub })
      t.match(events(), [
        ['login', { sid: sidOf(fourth), sub }],
        ['revoke', { sid: sidOf(first), sub, generation: 2 }]
      ])
      await isOver(t, three, first)
      t.strictSame(
        (await sessions.list(sub)).map(({ sid }) => sid),
        [second, third, fourth].map(sidOf)
      )
    })

    t.test('maxSessions 1 is a single sign-on per user', async (t) => {
      const single = await build(t, { ...options(), maxSessions: 1 })
      const sub = randomUUID()
      const clients = await Promise.all(many(20).map(async () => await single.login({ sub })))
      const [only, ...none] = await sessions.list(sub)
      t.strictSame(none, [])
      t.equal(clients.filter((client) => sidOf(client) === only?.sid).length, 1)
    })

    t.test('a limit that was lowered is kept to from the next login on', async (t) => {
      const sub = randomUUID()
      await Promise.all(many(6).map(async () => await login({ sub })))
      const two = await build(t, { ...options(), maxSessions: 2 })
      const client = await two.login({ sub })
      const listed = await sessions.list(sub)
      t.equal(listed.length, 2)
      t.ok(listed.some(({ sid }) => sid === sidOf(client)))
    })

    t.test('maxSessions Infinity is no limit, and 50 is the default', async (t) => {
      const sub = randomUUID()
      const endless = await build(t, { ...options(), maxSessions: Infinity })
      await Promise.all(many(60).map(async () => await endless.login({ sub })))
      t.equal((await sessions.list(sub)).length, 60)
      await login({ sub })
      t.equal((await sessions.list(sub)).length, 50)
    })

    t.test('who logs out everywhere leaves none, by the route and by reply.logout', async (t) => {
      const sub = randomUUID()
      const leaving = await build(t, {
        ...options(),
        extend: (app) => {
          app.post('/leave', { onRequest: app.authenticate }, async (_request, reply) => {
            await reply.logout({ all: true })
            return 'gone'
          })
        }
      })
      const byReply = async ({ authorization }: Client) =>
        await leaving.app.inject({ method: 'POST', url: '/leave', headers: { authorization } })
      const byRoute = async (client: Client) =>
        await leaving.logout(client, { payload: { all: true } })
      for (const leave of [byReply, byRoute]) {
        const clients = await Promise.all(many(4).map(async () => await login({ sub })))
        const events = observe(t)
        const response = await leave(clients[1] as Client)
        t.ok(response.statusCode < 300)
        t.match(response.headers['set-cookie'], /Max-Age=0/)
        for (const client of clients) await isOver(t, node, client)
        t.equal(
          events().filter(([name]) => name === 'logout').length,
          1,
          'its own session is logged out'
        )
        t.equal(events().filter(([name]) => name === 'revoke').length, 3, 'the others are revoked')
      }
    })

    t.test('live asks whether the session is over, also where it has run out', async (t) => {
      const client = await login({ sub: randomUUID() })
      const response = await me(client, '/live')
      t.equal(response.statusCode, 200)
      t.equal(response.json().sid, sidOf(client))
      await pass(14 * day)
      const over = node.clock.now() > Date.now() ? undefined : await me(client, '/live')
      if (over !== undefined) t.match(over.json(), { code: /SESSION_REVOKED|ACCESS_TOKEN_EXPIRED/ })
    })

    t.test('maxAge counts from the login, which no refresh makes recent', async (t) => {
      const guarded = await build(t, {
        ...options(),
        extend: (app) => {
          app.get(
            '/transfer',
            {
              preHandler: async (request) => {
                await request.authenticate({ maxAge: '15m', live: true })
              }
            },
            () => 'done'
          )
        }
      })
      const sub = randomUUID()
      const client = await login({ sub })
      t.equal((await guarded.me(client, '/transfer')).statusCode, 200)
      await pass(16 * minute)
      const refreshed = toClient(await refresh(client))
      t.equal((await guarded.me(refreshed)).statusCode, 200)
      const response = await guarded.me(refreshed, '/transfer')
      t.match(response.json(), { statusCode: 401, code: 'REAUTHENTICATION_REQUIRED' })
      t.match(response.headers, {
        'www-authenticate':
          /^Bearer error="insufficient_user_authentication", error_description=".+", max_age=900$/
      })
      const fresh = await login({ sub })
      t.equal((await guarded.me(fresh, '/transfer')).statusCode, 200)
      await sessions.revoke(sub, sidOf(fresh))
      t.match((await guarded.me(fresh, '/transfer')).json(), { code: 'SESSION_REVOKED' })
    })

    t.test('an unknown user or session is no error, and what can be nobody is one', async (t) => {
      const client = await login({ sub: 'known' })
      const odd: unknown[] = [
        'nobody',
        '',
        undefined,
        null,
        5,
        NaN,
        {},
        [],
        ['known'],
        [[]],
        '\0',
        '{}',
        'x'.repeat(100_000),
        '__proto__',
        Symbol.iterator
      ]
      for (const given of odd as string[]) {
        t.equal(await sessions.revoke('known', given), false)
        if (typeof given !== 'string' || given === '') {
          await t.rejects(sessions.list(given), { code: 'INVALID_OPTION' })
          await t.rejects(sessions.revoke(given, sidOf(client)), { code: 'INVALID_OPTION' })
          await t.rejects(sessions.revokeAll(given), { code: 'INVALID_OPTION' })
          continue
        }
        t.strictSame(await sessions.list(given), [])
        t.equal(await sessions.revoke(given, sidOf(client)), false)
        t.equal(await sessions.revokeAll(given), 0)
      }
      const isName = (given: unknown) =>
        given == null || (typeof given === 'string' && given !== '')
      for (const except of odd.filter(isName) as string[]) {
        t.equal((await sessions.list('known')).length, 1)
        t.equal(
          await sessions.revokeAll('known', { except }),
          1,
          'what names no session keeps none'
        )
        await login({ sub: 'known' })
      }
      for (const except of odd.filter((given) => !isName(given)) as string[]) {
        await t.rejects(sessions.revokeAll('known', { except }), { code: 'INVALID_OPTION' })
      }
      t.equal((await sessions.list('known')).length, 1)
    })
  })
}

function isRefreshed (answer: unknown): answer is Parameters<typeof toClient>[0] {
  const { statusCode, body } = (answer ?? {}) as { statusCode?: number, body?: unknown }
  return statusCode === 200 && typeof body === 'string'
}

t.test('what the sessions of a user promise', async (t) => {
  const clock = new TestClock()
  const memory = new MemoryStore(clock)
  battery(t, 'in memory', { options: () => ({ store: memory }), pass: (ms) => clock.pass(ms) })
  const server = await redisFor(t)
  const admin = server.client()
  battery(t, 'on Redis', {
    options: () => ({ redis: server.client() }),
    pass: async (ms) => await age(admin, ms)
  })
})

t.test('in the very millisecond in which all were ended, a login works', async (t) => {
  const { app, clock, login, refresh, me } = await build(t)
  await login()
  await app.sessions.revokeAll('ada')
  const client = await login()
  t.equal((await app.sessions.list('ada'))[0]?.createdAt, clock.ms)
  t.equal((await me(client, '/live')).statusCode, 200)
  t.equal((await refresh(client)).statusCode, 200)
})

t.test('each method is one command and scans nothing', async (t) => {
  const server = await redisFor(t)
  const { app: { sessions }, login, me } = await build(t, { redis: server.client() })
  const client = await login()
  const seen = await monitor(server)
  await me(client, '/live')
  await sessions.list('ada')
  await sessions.revoke('ada', sidOf(client))
  await sessions.revokeAll('ada')
  t.strictSame((await seen.flush()).map(([name]) => name), Array(4).fill('evalsha'))
  const stats = await server.client().info('commandstats')
  t.notMatch(stats, /cmdstat_(?:scan|hscan|keys):/)
})

t.test('while the store is down, methods throw and routes answer 503 within the deadline, and nothing is cleared', async (t) => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  const redis = server.client()
  const { app, login, logout, refresh, me } = await build(t, { redis, storeTimeout: 0.1 })
  const client = await login()
  for (const fault of ['paused', 'dead'] as const) {
    if (fault === 'paused') await server.pause()
    else await server.kill()
    const steps: Array<() => Promise<unknown>> = [
      async () =>
        await t.rejects(app.sessions.list('ada'), { code: 'STORE_UNAVAILABLE', statusCode: 503 }),
      async () =>
        await t.rejects(app.sessions.revoke('ada', sidOf(client)), { code: 'STORE_UNAVAILABLE' }),
      async () => await t.rejects(app.sessions.revokeAll('ada'), { code: 'STORE_UNAVAILABLE' }),
      ...[
        async () => await me(client, '/live'),
        async () => await logout(client),
        async () => await logout(client, { payload: { all: true } }),
        async () => await refresh(client)
      ].map((call) => async () => {
        const response = await call()
        t.match(response.json(), { statusCode: 503, code: 'STORE_UNAVAILABLE' })
        t.ok(Number(response.headers['retry-after']) > 0)
        t.notOk(response.headers['set-cookie'])
      })
    ]
    for (const step of steps) {
      const start = performance.now()
      await step()
      t.ok(performance.now() - start < second, `${fault}: within the deadline`)
    }
    t.equal((await me(client)).statusCode, 200, 'an access token needs no store')
  }
  await server.start()
  await until('the client to be back', () => redis.status === 'ready')
  t.strictSame(await app.sessions.list('ada'), [])
})
