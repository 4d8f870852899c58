import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import {
  MemoryStore, RedisStore, type AuthPluginOptions, type ClaimsHook, type Rotation, type Session
} from '../lib/index'
import { build, day, hour, minute, peek, second, secret, toClient, type TestApp } from './support/app'
import { observe } from './support/events'
import { monitor } from './support/servers/monitor'
import { redisFor } from './support/servers/redis'

/** A hook with this result, whatever its type says. */
const answering = (result: () => unknown) => (async () => result()) as unknown as ClaimsHook

t.test('without a claims hook a session keeps the claims of its login', async (t) => {
  const { login, refresh } = await build(t)
  const refreshed = toClient(await refresh(await login({ sub: 'ada', role: 'admin' })))
  t.match(peek(refreshed.body.access_token), { sub: 'ada', role: 'admin' })
})

t.test('what the claims hook answers is in the next access token, in place of all that was there', async (t) => {
  const roles = new Map([['ada', ['author']]])
  const { login, refresh, me, app } = await build(t, {
    claims: async ({ sub }) => ({ roles: roles.get(sub) })
  })
  const client = await login({ sub: 'ada', roles: ['author'], plan: 'free' })
  roles.set('ada', ['author', 'editor'])
  const refreshed = toClient(await refresh(client))
  const { user } = (await me(refreshed)).json()
  t.same(user.roles, ['author', 'editor'])
  t.notOk('plan' in user)
  t.same((await app.sessions.list('ada'))[0]?.claims, { sub: 'ada', roles: ['author', 'editor'] })
})

t.test('the session decides about sub, whatever the hook answers', async (t) => {
  for (const extra of [
    {},
    { sub: 'eve' },
    { sub: '' },
    { sub: undefined },
    { sub: null },
    { sub: { toString: () => 'eve' } }
  ]) {
    const { login, refresh, me } = await build(t, {
      claims: answering(() => ({ role: 'x', ...extra }))
    })
    const refreshed = toClient(await refresh(await login()))
    t.match((await me(refreshed)).json().user, { sub: 'ada', role: 'x' }, inspect(extra))
  }
})

t.test('a hook may answer at once or later, with claims of any class-less kind', async (t) => {
  const hooks: unknown[] = [
    () => ({ role: 'x' }),
    () => Promise.resolve({ role: 'x' }),
    () => ({ then: (resolve: (claims: object) => void) => { resolve({ role: 'x' }) } }),
    () => Object.assign(Object.create(null), { role: 'x' }),
    () => Object.freeze({ role: 'x', more: undefined })
  ]
  for (const claims of hooks) {
    const { login, refresh } = await build(t, { claims: claims as ClaimsHook })
    t.equal(peek(toClient(await refresh(await login())).body.access_token).role, 'x')
  }
})

t.test('the hook sees the session as it stands before the rotation, and the request', async (t) => {
  const seen: Session[] = []
  const ips: string[] = []
  const { login, refresh, clock, app } = await build(t, {
    claims: (session, request) => {
      seen.push(session)
      ips.push(request.ip)
      return { visits: Number(session.claims.visits) + 1 }
    }
  })
  const start = clock.ms
  let client = await login({ sub: 'ada', visits: 1 }, { device: 'a phone' })
  const sid = peek(client.body.access_token).sid
  clock.pass(minute)
  client = toClient(await refresh(client))
  clock.pass(minute)
  client = toClient(await refresh(client))
  const common = {
    sid,
    sub: 'ada',
    device: 'a phone',
    data: null,
    transport: 'cookie',
    bound: null,
    createdAt: start,
    deadline: start + 90 * day
  }
  t.same(seen, [
    {
      ...common,
      claims: { sub: 'ada', visits: 1 },
      generation: 1,
      refreshedAt: start,
      expiresAt: start + 14 * day
    },
    {
      ...common,
      claims: { sub: 'ada', visits: 2 },
      generation: 2,
      refreshedAt: start + minute,
      expiresAt: start + minute + 14 * day
    }
  ])
  t.equal(peek(client.body.access_token).visits, 3)
  t.same(ips, ['127.0.0.1', '127.0.0.1'])
  t.match(await app.sessions.list('ada'), [{ generation: 3, claims: { visits: 3 } }])
})

t.test('a session that has ended is known to be over while the hook of another is asked', async (t) => {
  const seen = observe(t)
  let asked: string[] = []
  const { login, refresh, app, clock } = await build(t, {
    claims: ({ sub }) => {
      asked = seen().map(([name]) => name)
      return sub === 'eve' ? null : {}
    }
  })
  const living = await login({ sub: 'bob' })
  clock.pass(minute)
  const denied = await login({ sub: 'eve' })
  clock.pass(minute)
  const stolen = await login({ sub: 'ada' })
  await refresh(stolen)
  clock.pass(hour)
  // The one with the most life left is tried first.
  const cookie = [living, denied, stolen].map((client) => client.cookie).join('; ')
  t.equal((await refresh({ cookie })).statusCode, 200)
  t.strictSame(asked.slice(-2), ['reuse', 'deny'])
  t.strictSame(await app.sessions.list('ada'), [])
})

t.test('what a hook does to the session it sees changes nothing', async (t) => {
  const { login, refresh, app } = await build(t, {
    claims: (session) => {
      Object.assign(session.claims, { sub: 'eve', role: 'x' })
      Object.assign(session, {
        sid: 'x',
        sub: 'eve',
        generation: 9,
        transport: 'body',
        device: 'x',
        deadline: 0
      })
      return { role: 'author' }
    }
  })
  const client = await login({ sub: 'ada' }, { device: 'a phone' })
  const refreshed = toClient(await refresh(client))
  t.match(peek(refreshed.body.access_token), {
    sub: 'ada',
    role: 'author',
    sid: peek(client.body.access_token).sid
  })
  t.match(await app.sessions.list('ada'), [
    { sub: 'ada', generation: 2, transport: 'cookie', device: 'a phone' }
  ])
})

t.test('the hook is called once before each rotation, and for nothing else', async (t) => {
  let calls = 0
  const { app, login, refresh, logout, me, clock } = await build(t, {
    claims: () => {
      calls++
      return { calls }
    }
  })
  const first = await login()
  await me(first)
  t.equal(calls, 0)
  const next = toClient(await refresh(first))
  t.equal(calls, 1)
  const repeat = toClient(await refresh(first))
  t.equal(peek(repeat.body.access_token).calls, 1, 'a repeat has the claims of the rotation')
  const third = toClient(await refresh(next))
  t.equal(calls, 2)
  clock.pass(11 * second)
  await app.inject({ method: 'POST', url: '/auth/refresh' })
  await refresh({ cookie: '__Host-refresh_token=forged' })
  await refresh(third, { headers: { 'sec-fetch-site': 'cross-site' } })
  t.equal((await refresh(first)).json().code, 'REFRESH_TOKEN_REUSED')
  t.equal((await refresh(third)).json().code, 'REFRESH_TOKEN_INVALID', 'of a session that is over')
  const expiring = await login()
  clock.pass(15 * day)
  t.equal((await refresh(expiring)).json().code, 'REFRESH_TOKEN_EXPIRED')
  await logout(await login())
  t.equal(calls, 2)
})

t.test('what an update changes while the hook is asked stands, and so does what the hook changes', async (t) => {
  const redis = await redisFor(t)
  for (const store of [{}, { store: new RedisStore(redis.client()) }]) {
    for (const spentOn of ['issue', 'use'] as const) {
      let update = async (): Promise<unknown> => undefined
      let calls = 0
      let answer = (claims: object): object => claims
      const { login, refresh, app } = await build(t, {
        ...store,
        refreshToken: { spentOn },
        claims: async ({ claims }) => {
          calls++
          await update()
          return answer(claims) as typeof claims
        }
      })
      const claims = { sub: 'ada', role: 'user', plan: 'free', old: [1], kept: { a: [1] } }
      const client = await login(claims, { device: 'old', data: 1 })
      const sid = String(peek(client.body.access_token).sid)
      const change = {
        claims: { role: 'admin', plan: 'none', old: [1], kept: { a: [1] }, more: true } as never,
        device: 'new',
        data: 2
      }
      update = async () => await app.sessions.update('ada', sid, change)
      answer = ({ old, ...claims }: { old?: object }) => ({ ...claims, plan: 'paid', calls })
      const refreshed = toClient(await refresh(client))
      const merged = { role: 'admin', plan: 'paid', kept: { a: [1] }, more: true, calls: 1 }
      t.match(peek(refreshed.body.access_token), merged)
      t.notOk('old' in peek(refreshed.body.access_token))
      const [session] = await app.sessions.list('ada')
      t.match(session, { device: 'new', data: 2 })
      t.strictSame(session?.claims, { sub: 'ada', ...merged })

      update = async () => await app.sessions.update('ada', sid, { data: 3, claims: { role: 'root' } as never })
      answer = (claims) => claims
      const kept = toClient(await refresh(refreshed))
      t.match(peek(kept.body.access_token), { role: 'root' }, 'a hook that changes nothing')
      t.match(await app.sessions.list('ada'), [{ data: 3 }])
      t.equal(calls, 2)
      await app.sessions.revokeAll('ada')
    }
  }
})

t.test('nobody is kept out because a session changes all the time', async (t) => {
  let changes = 0
  class BusyStore extends MemoryStore {
    override async rotate (userTag: string, rotation: Rotation) {
      const { sid } = rotation
      const { content: from = '' } = await this.find(userTag, sid) ?? {}
      await this.update(userTag, { sid, from, to: `${from.trim()}${' '.repeat(++changes)}` })
      return await super.rotate(userTag, rotation)
    }
  }
  let calls = 0
  const { login, refresh } = await build(t, {
    store: new BusyStore(),
    claims: async () => ({ call: ++calls })
  })
  const client = await login({ sub: 'ada', role: 'user' })
  t.equal((await refresh(client)).statusCode, 200)
  t.equal(calls, 1)
  t.ok(changes < 20, `${changes} changes`)
})

t.test('many refreshes at once, with a slow hook, come to one rotation and one refresh token', async (t) => {
  let calls = 0
  const { login, refresh, app } = await build(t, {
    claims: async () => {
      const n = ++calls
      await setImmediate()
      return { n }
    }
  })
  const client = await login()
  const refreshed = (
    await Promise.all(Array.from({ length: 50 }, async () => await refresh(client)))
  ).map(toClient)
  t.equal(new Set(refreshed.map(({ refreshToken }) => refreshToken)).size, 1)
  t.equal(
    new Set(refreshed.map(({ body }) => peek(body.access_token).n)).size,
    1,
    'the claims are those of the rotation'
  )
  t.match(await app.sessions.list('ada'), [{ generation: 2 }])
})

t.test('many refreshes at once, of a token spent on use, each get claims that always differ', async (t) => {
  const redis = await redisFor(t)
  for (const store of [{}, { store: new RedisStore(redis.client()) }]) {
    let calls = 0
    const { login, refresh } = await build(t, {
      ...store,
      refreshToken: { spentOn: 'use' },
      claims: async () => ({ call: ++calls })
    })
    const client = await login()
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: 50 }, async () => await refresh(client))
      const answers = await Promise.all(all)
      t.strictSame(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]))
    }
    t.ok(calls < 50, `${calls} calls: those that wait at the same time share one`)
  }
})

t.test('null ends the session, and no other', async (t) => {
  const denied: unknown[] = []
  const listen = (event: unknown) => { denied.push(event) }
  subscribe('fastify-jwt-sessions:deny', listen)
  t.teardown(() => unsubscribe('fastify-jwt-sessions:deny', listen))
  const banned = new Set<string>()
  const { login, refresh, me, app } = await build(t, {
    claims: ({ device }) => (device !== null && banned.has(device) ? null : {})
  })
  const client = await login({ sub: 'ada' }, { device: 'stolen' })
  const other = await login({ sub: 'ada' }, { device: 'at home' })
  banned.add('stolen')
  const answer = await refresh(client)
  t.equal(answer.statusCode, 401)
  t.equal(answer.json().code, 'SESSION_REVOKED')
  t.equal(answer.headers['set-cookie'], undefined)
  t.same(denied, [
    { sid: peek(client.body.access_token).sid, sub: 'ada', generation: 1, prefix: '/auth' }
  ])
  banned.clear()
  t.equal((await refresh(client)).json().code, 'REFRESH_TOKEN_INVALID')
  t.equal((await me(client, '/live')).json().code, 'SESSION_REVOKED')
  t.equal((await refresh(other)).statusCode, 200)
  t.match(await app.sessions.list('ada'), [{ device: 'at home' }])
})

t.test('many refreshes at once that the hook denies come to one event', async (t) => {
  let denied = 0
  const listen = () => { denied++ }
  subscribe('fastify-jwt-sessions:deny', listen)
  t.teardown(() => unsubscribe('fastify-jwt-sessions:deny', listen))
  const { login, refresh } = await build(t, {
    claims: async () => {
      await setImmediate()
      return null
    }
  })
  const client = await login()
  const codes = await Promise.all(
    Array.from({ length: 20 }, async () => (await refresh(client)).json().code)
  )
  t.same(
    [...new Set(codes)].filter(
      (code) => code !== 'SESSION_REVOKED' && code !== 'REFRESH_TOKEN_INVALID'
    ),
    []
  )
  t.equal(denied, 1)
})

/** Refreshes with a hook that fails as told, and then with one that works: nothing may be lost. */
async function survives (
  t: Test,
  fail: () => unknown,
  check: (answer: Awaited<ReturnType<TestApp['refresh']>>) => void
): Promise<void> {
  let broken = true
  const { login, refresh, app } = await build(t, {
    claims: answering(() => (broken ? fail() : { role: 'x' }))
  })
  const client = await login({ sub: 'ada', role: 'author' })
  const before = await app.sessions.list('ada')
  for (let i = 0; i < 2; i++) {
    const answer = await refresh(client)
    check(answer)
    t.equal(answer.headers['set-cookie'], undefined)
    t.notOk('access_token' in answer.json())
  }
  t.same(await app.sessions.list('ada'), before, 'nothing is spent')
  broken = false
  const refreshed = toClient(await refresh(client))
  t.equal(peek(refreshed.body.access_token).role, 'x')
  t.equal(peek(refreshed.refreshToken).gen, 2)
}

t.test('a hook that throws loses nothing, whatever it throws, and the client is never told that it is logged out', async (t) => {
  const thrown: unknown[] = [
    new Error('the database is down'),
    Object.assign(new Error('upstream said so'), { statusCode: 401 }),
    Object.assign(new Error('upstream said so'), { status: 404 }),
    Object.assign(new Error('strange'), { statusCode: 200 }),
    'text', 7, null, undefined, {}, { statusCode: 403 }
  ]
  for (const error of thrown) {
    await t.test(inspect(error, { depth: 0 }).slice(0, 40), async (t) => {
      await survives(t, () => { throw error }, ({ statusCode }) => { t.equal(statusCode, 500) })
    })
  }
  await t.test('an error that is a 5xx of its own stays one', async (t) => {
    const busy = Object.assign(new Error('busy'), { statusCode: 503, code: 'BUSY' })
    await survives(
      t,
      () => {
        throw busy
      },
      (answer) => {
        t.match(answer.json(), { statusCode: 503, code: 'BUSY', message: 'busy' })
      }
    )
  })
})

t.test('anything but a plain object or null from the hook counts as a throw', async (t) => {
  class User { role = 'x' }
  const circle: { self?: unknown } = {}
  circle.self = circle
  const wrong: [unknown, RegExp][] = [
    ...[
      undefined,
      true,
      0,
      '',
      'claims',
      [],
      [{}],
      new Date(),
      new Map(),
      new User(),
      () => ({}),
      Symbol('x'),
      1n
    ].map((value): [unknown, RegExp] => [
      value,
      /^the claims hook: claims are (missing|of type \w+); they must be a plain object$/
    ]),
    [{ at: new Date() }, /the claim at is of type Date; claims must be plain JSON$/],
    [{ a: { b: [1, { c: new User() }] } }, /the claim a\.b\.1\.c is of type User; claims must be plain JSON$/],
    [{ big: 1n }, /the claim big is of type bigint; claims must be plain JSON$/],
    [{ call () {} }, /the claim call is of type function; claims must be plain JSON$/],
    [{ list: [undefined] }, /the claim list\.0 is missing; claims must be plain JSON$/],
    // eslint-disable-next-line no-sparse-arrays -- the hole is what is tried
    [{ list: [1, , 2] }, /the claim list\.1 is missing; claims must be plain JSON$/],
    [{ n: NaN }, /the claim n is NaN; claims must be plain JSON$/],
    [{ n: -Infinity }, /the claim n is -Infinity; claims must be plain JSON$/],
    [circle, /the claim self\.self holds itself; claims must be plain JSON$/],
    [{ roles: 'x'.repeat(9000) }, /an access token of \d+ characters; 8192 are the most/]
  ]
  for (const [value, message] of wrong) {
    await t.test(inspect(value).slice(0, 60), async (t) => {
      await survives(t, () => value, (answer) => {
        t.match(answer.json(), { statusCode: 500, code: 'INVALID_CLAIMS', message })
      })
    })
  }
})

t.test('names that the plugin sets are refused loudly, at login and from the hook', async (t) => {
  for (const name of [
    'sid',
    'iat',
    'exp',
    'nbf',
    'auth_time',
    'iss',
    'aud',
    'jti',
    'client_id',
    'cnf',
    'bound'
  ]) {
    for (const value of ['x', 1, null, undefined]) {
      const { app } = await build(t, {
        extend: (app) => {
          app.post(
            '/reserved',
            async (_request, reply) => await reply.login({ sub: 'ada', [name]: value })
          )
        }
      })
      const answer = await app.inject({ method: 'POST', url: '/reserved' })
      t.match(answer.json(), {
        statusCode: 500,
        code: 'INVALID_LOGIN',
        message: `reply.login: the claim ${name} is set by the plugin and cannot be given`
      })
      t.equal(answer.headers['set-cookie'], undefined)
    }
    await t.test(`${name} from the hook`, async (t) => {
      await survives(
        t,
        () => ({ [name]: 'x' }),
        (answer) => {
          t.match(answer.json(), { statusCode: 500, code: 'INVALID_CLAIMS' })
        }
      )
    })
  }
})

t.test('claims that are no plain JSON are refused at login', async (t) => {
  let claims: unknown
  const { app } = await build(t, {
    extend: (app) => {
      app.post('/wrong', async (_request, reply) => await reply.login(claims as { sub: string }))
    }
  })
  const sub = 'ada'
  for (const wrong of [
    undefined,
    null,
    'ada',
    [sub],
    new Map([['sub', sub]]),
    {},
    { sub: '' },
    { sub: 7 },
    { sub: null },
    { sub: [sub] },
    { sub, at: new Date() },
    { sub, n: NaN },
    { sub, ...JSON.parse('{"__proto__":{"admin":true}}') },
    { sub, a: [JSON.parse('{"__proto__":1}')] }
  ]) {
    claims = wrong
    const answer = await app.inject({ method: 'POST', url: '/wrong' })
    t.match(
      answer.json(),
      { statusCode: 500, code: 'INVALID_LOGIN', message: /^reply\.login: / },
      inspect(wrong)
    )
  }
  t.same(await app.sessions.list('ada'), [])
})

const twice = { a: ['named twice'] }

const awkward = {
  twice: [twice, { more: twice }, twice],
  numbers: [0, -1, 0.1, 1e21, 5e-324, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, 1767225600123],
  empty: { list: [], object: {}, text: '', nothing: null, lists: [[], [[]], [{}]] },
  truths: [true, false],
  unicode: 'Zoë 张伟 🎉 \u202e\u0000\n\r\t"\\ \u2028\u2029 \ufeff',
  surrogates: ['\ud800', '\udc00\ud800', 'a\udfffb'],
  'key of ünicode\n': 1,
  '': 'no name',
  __proto__: null,
  constructor: 'c',
  hasOwnProperty: 1,
  10: 'ten',
  1: 'one',
  like_json: '{"sub":"eve"}',
  deep: { a: { b: { c: { d: [{ e: 'f' }] } } } }
}
// As an own member, which the literal above does not make.

for (const kind of ['memory', 'Redis']) {
  t.test(`claims are opaque: what goes in comes out, in ${kind}`, async (t) => {
    const store = kind === 'Redis' ? { store: new RedisStore((await redisFor(t)).client()) } : {}
    for (const claims of [undefined, (() => awkward) as ClaimsHook]) {
      const options: Partial<AuthPluginOptions> = { ...store, claims }
      const { app, me, refresh } = await build(t, {
        ...options,
        extend: (app) => {
          app.post(
            '/awkward',
            async (_request, reply) => await reply.login({ ...awkward, sub: 'ada' })
          )
        }
      })
      const before = JSON.stringify(awkward)
      let client = toClient(await app.inject({ method: 'POST', url: '/awkward' }))
      for (let i = 0; i < 3; i++) {
        const { user } = JSON.parse((await me(client)).body)
        for (const [name, value] of Object.entries(awkward)) {
          t.strictSame(Object.getOwnPropertyDescriptor(user, name)?.value, value, name)
        }
        t.equal(user.sub, 'ada')
        t.equal(user.role, undefined)
        const found = (await app.sessions.list('ada')).at(-1)?.claims
        t.equal(JSON.stringify(found), JSON.stringify({ sub: 'ada', ...JSON.parse(before) }))
        client = toClient(await refresh(client))
      }
      t.equal(JSON.stringify(awkward), before, 'what the application gave is not touched')
    }
  })
}

t.test('a user is told from every other, also where names are no well-formed Unicode', async (t) => {
  const subs = [
    '\ud800',
    '\ud801',
    '\ufffd',
    'ada',
    'ada ',
    'Ada',
    'ada\u0000',
    '\n',
    '1',
    'e\u0301',
    '\u00e9',
    '__proto__',
    '{x}',
    ' '
  ]
  const { app, login, refresh, me } = await build(t)
  const clients = await Promise.all(subs.map(async (sub) => await login({ sub })))
  for (const [i, sub] of subs.entries()) {
    const client = clients[i]
    if (client === undefined) continue
    t.match(await app.sessions.list(sub), [{ sub }])
    t.equal((await app.sessions.list(sub)).length, 1, inspect(sub))
    t.equal((await me(toClient(await refresh(client)))).json().user.sub, sub)
  }
  t.equal(await app.sessions.revokeAll('\ud800'), 1)
  t.equal((await app.sessions.list('\ud801')).length, 1)
})

t.test('claims that make an access token of more than 8 KB are an error at login, and all others make one that works', async (t) => {
  const keys = { short: secret, long: 'x'.repeat(64) }
  for (const [name, options] of Object.entries({
    'a bare token': { secret: keys.short },
    'a token with an issuer and an audience': {
      secret: keys.short,
      accessToken: { issuer: 'i'.repeat(700), audience: ['a'.repeat(700), 'b'.repeat(700)] }
    }
  })) {
    for (const letter of ['x', 'é', '张', '🎉', '"', '\n', '\ud800']) {
      await t.test(`${name}: ${inspect(letter)}`, async (t) => {
        const { app, me, login } = await build(t, options)
        const fits = async (n: number) =>
          await login({ sub: 'ada', text: letter.repeat(n) }).catch((error: Error) => error)
        // The most that is accepted, found by halving.
        let [low, high] = [0, 8192]
        while (low + 1 < high) {
          const middle = Math.floor((low + high) / 2)
          if ((await fits(middle)) instanceof Error) high = middle
          else low = middle
        }
        const most = await fits(low)
        const tooMuch = await fits(high)
        if (most instanceof Error) throw most
        t.ok(most.body.access_token.length <= 8192)
        t.ok(most.body.access_token.length > 8192 - 20, `${low} × ${letter}`)
        t.equal((await me(most)).statusCode, 200)
        t.match(tooMuch, {
          message:
            /^500 .*INVALID_LOGIN.*these claims make an access token of \d+ characters; 8192 are the most that fit into a header/
        })
        t.equal(
          (await app.sessions.list('ada')).every(
            ({ claims }) => String(claims.text).length <= low * letter.length
          ),
          true
        )
      })
    }
  }
})

t.test('a hook costs one round trip more, to see the session before anything is written', async (t) => {
  const server = await redisFor(t)
  for (const [claims, trips] of [[undefined, 1], [() => ({}), 2]] as const) {
    const { login, refresh } = await build(t, { store: new RedisStore(server.client()), claims })
    const client = await login()
    const watch = await monitor(server)
    await watch.flush()
    t.equal((await refresh(client)).statusCode, 200)
    t.equal((await watch.flush()).length, trips)
  }
})
