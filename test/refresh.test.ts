import { createHmac } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { MemoryStore, RedisStore } from '../lib/index'
import { userTagOf } from '../lib/session/content'
import {
  build,
  day,
  hour,
  minute,
  peek,
  second as sec,
  secret,
  TestClock,
  toClient
} from './support/app'
import { observe } from './support/events'
import { monitor } from './support/servers/monitor'
import { redisFor } from './support/servers/redis'

const code = (response: { json: () => { code?: string } }) => response.json().code

t.test('a refresh rotates the refresh token and issues a fresh access token', async (t) => {
  const { login, refresh, me, clock } = await build(t)
  const first = await login({ sub: 'ada', role: 'admin' })
  clock.pass(29 * minute)
  const response = await refresh(first)
  const second = toClient(response)
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(Object.keys(second.body), ['access_token', 'token_type', 'expires_in'])
  t.match(peek(second.refreshToken), {
    gen: 2,
    key: peek(first.refreshToken).key,
    exp: (clock.ms + 14 * day) / 1000
  })
  const [before, after] = [peek(first.body.access_token), peek(second.body.access_token)]
  t.match(after, {
    sub: 'ada',
    role: 'admin',
    sid: before.sid,
    auth_time: before.auth_time,
    iat: clock.ms / 1000
  })
  clock.pass(minute)
  t.equal(code(await me(first)), 'ACCESS_TOKEN_EXPIRED')
  t.equal((await me(second)).statusCode, 200)
})

t.test('a body is not needed, whatever content type is named', async (t) => {
  const { login, refresh, logout } = await build(t)
  const client = await login()
  for (const type of [
    'application/json',
    'application/x-www-form-urlencoded',
    'text/plain',
    'nonsense',
    ';',
    'application/json, text/plain'
  ]) {
    t.equal((await refresh(client, { headers: { 'content-type': type } })).statusCode, 200, type)
    t.equal(
      (await refresh(client, { headers: { 'content-type': type, 'content-length': '0' } }))
        .statusCode,
      200,
      type
    )
  }
  t.equal(
    (
      await refresh(client, {
        payload: Readable.from([]),
        headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
      })
    ).statusCode,
    200,
    'in chunks, none of them'
  )
  t.equal((await refresh(client, { payload: {} })).statusCode, 200)
  t.equal(
    (await refresh(client, { payload: '{"x"', headers: { 'content-type': 'application/json' } }))
      .statusCode,
    400
  )
  t.match(
    (
      await refresh(client, {
        payload: 'a=1',
        headers: { 'content-type': 'application/x-www-form-urlencoded' }
      })
    ).json(),
    { statusCode: 415, message: /application\/x-www-form-urlencoded; allowed/ }
  )
  t.match((await refresh(client, { payload: 'a=1' })).json(), {
    statusCode: 415,
    message: /none; allowed/
  })
  t.equal(
    (await logout(client, { headers: { 'content-type': 'application/x-www-form-urlencoded' } }))
      .statusCode,
    204
  )
})

t.test('a wrong token is refused without the store being asked', async (t) => {
  const clock = new TestClock()
  const store = new MemoryStore(clock)
  const { login, refresh } = await build(t, { store })
  const { refreshToken: good } = await login()
  store.rotate = async () => { t.fail('the store was asked'); return { outcome: 'unknown' } }
  const [head, payload, signature] = good.split('.') as [string, string, string]
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const sign = (head: string, payload: string) =>
    `${head}.${payload}.${createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url')}`
  const cases = {
    REFRESH_TOKEN_MISSING: [''],
    REFRESH_TOKEN_INVALID: [
      'x',
      '.',
      '..',
      '...',
      'null',
      good.slice(0, -1),
      `${good}.`,
      ` ${good}`.repeat(2),
      'a'.repeat(5000),
      `${good}${'a'.repeat(4096)}`,
      `${head}.${payload}.${signature.split('').reverse().join('')}`,
      `${head}.${encode({ ...peek(good), gen: 2 })}.${signature}`,
      `${encode({ alg: 'none', typ: 'rt+jwt', kid: peek(good, 0).kid })}.${payload}.`,
      `${encode({ alg: 'HS256', typ: 'rt+jwt', kid: 'other' })}.${payload}.${signature}`,
      `${encode({ alg: 'HS256', typ: 'rt+jwt' })}.${payload}.${signature}`,
      sign(head, payload)
    ]
  }
  for (const [expected, tokens] of Object.entries(cases)) {
    for (const token of tokens) {
      const response = await refresh({ cookie: `__Host-refresh_token=${token}` })
      t.equal(response.statusCode, 401)
      t.equal(code(response), expected, token.slice(0, 80))
      t.notOk(response.headers['set-cookie'], 'and the cookie is left alone')
    }
  }
  t.equal(code(await refresh({ cookie: '' })), 'REFRESH_TOKEN_MISSING')
  t.equal(code(await refresh({ cookie: 'refresh_token=x; other=y' })), 'REFRESH_TOKEN_MISSING')
  clock.pass(14 * day)
  t.equal(code(await refresh({ cookie: `__Host-refresh_token=${good}` })), 'REFRESH_TOKEN_EXPIRED')
})

t.test('a repeat answers the same refresh token and extends nothing', async (t) => {
  const seen = observe(t)
  const { login, refresh, clock, app } = await build(t)
  const first = await login()
  clock.pass(minute)
  const second = toClient(await refresh(first))
  const before = await app.sessions.list('ada')
  clock.pass(5 * sec)
  const again = toClient(await refresh(first))
  t.equal(again.refreshToken, second.refreshToken)
  t.equal(peek(again.body.access_token).iat, clock.ms / 1000, 'with a fresh access token')
  t.match(again.response.headers['set-cookie'], `Max-Age=${14 * day / 1000 - 5};`)
  t.strictSame(await app.sessions.list('ada'), before)
  clock.pass(5 * sec)
  const response = await refresh(first)
  t.equal(code(response), 'REFRESH_TOKEN_REUSED')
  t.notOk(response.headers['set-cookie'])
  t.equal(code(await refresh(second)), 'REFRESH_TOKEN_INVALID', 'the session is over')
  const sid = before[0]?.sid
  t.strictSame(seen(), [
    ['login', { sid, sub: 'ada', generation: 1 }],
    ['refresh', { sid, sub: 'ada', generation: 2, msSinceRotation: minute }],
    [
      'repeat',
      { sid, sub: 'ada', generation: 2, msSinceRotation: 5 * sec, distance: 1, streak: 1 }
    ],
    ['reuse', { sid, sub: 'ada', generation: 2, msSinceRotation: 10 * sec, distance: 1 }]
  ])
})

t.test('reuse ends that session alone, and is told once', async (t) => {
  const lines: string[] = []
  const reuses: unknown[] = []
  const { login, refresh, app, clock } = await build(t, {
    server: { logger: { level: 'warn', stream: { write: (line) => { lines.push(line) } } } },
    onReuse: (reuse, request) => { reuses.push({ ...reuse, url: request.url }) }
  })
  const victim = await login()
  const other = await login()
  await refresh(toClient(await refresh(victim)))
  clock.pass(10 * sec)
  const responses = await Promise.all(Array.from({ length: 20 }, async () => await refresh(victim)))
  const codes = responses.map(code)
  t.equal(codes.filter((code) => code === 'REFRESH_TOKEN_REUSED').length, 1)
  t.equal(codes.filter((code) => code === 'REFRESH_TOKEN_INVALID').length, 19)
  const sid = peek(victim.body.access_token).sid
  t.strictSame(reuses, [
    {
      sid,
      sub: 'ada',
      generation: 3,
      distance: 2,
      msSinceRotation: 10 * sec,
      prefix: '/auth',
      url: '/auth/refresh'
    }
  ])
  t.equal(lines.filter((line) => /refresh token reuse/.test(line)).length, 1)
  t.match(JSON.parse(lines.find((line) => /reuse/.test(line)) ?? ''), { level: 40, sid })
  t.strictSame(
    (await app.sessions.list('ada')).map(({ sid }) => sid),
    [peek(other.body.access_token).sid]
  )
})

t.test('an onReuse hook that throws or rejects undoes nothing', async (t) => {
  const errors: string[] = []
  for (const onReuse of [
    () => {
      throw new Error('thrown')
    },
    async () => {
      throw new Error('rejected')
    }
  ]) {
    const { login, refresh, clock } = await build(t, {
      onReuse,
      server: {
        logger: {
          level: 'error',
          stream: {
            write: (line) => {
              errors.push(line)
            }
          }
        }
      }
    })
    const client = await login()
    await refresh(toClient(await refresh(client)))
    clock.pass(10 * sec)
    t.equal(code(await refresh(client)), 'REFRESH_TOKEN_REUSED')
  }
  t.strictSame(errors.map((line) => JSON.parse(line).err.message), ['thrown', 'rejected'])
})

t.test('both lifetimes end a session, to the millisecond', async (t) => {
  const { login, refresh, clock } = await build(t, {
    refreshToken: { idleLifetime: '1h', absoluteLifetime: '90m' }
  })
  clock.pass(250)
  let client = await login()
  clock.pass(hour - 1)
  client = toClient(await refresh(client))
  clock.pass(30 * minute)
  t.equal((await refresh(client)).statusCode, 200)
  clock.pass(1)
  t.equal(code(await refresh(client)), 'REFRESH_TOKEN_EXPIRED')
  const idle = await login()
  clock.pass(hour)
  t.equal(code(await refresh(idle)), 'REFRESH_TOKEN_EXPIRED')
})

t.test('a token ahead of the store heals the session', async (t) => {
  const seen = observe(t)
  const clock = new TestClock()
  const store = new MemoryStore(clock)
  const { login, refresh } = await build(t, { store })
  const client = await login()
  const userTag = userTagOf('ada')
  const [record] = await store.list(userTag)
  let latest = client
  for (let i = 0; i < 3; i++) latest = toClient(await refresh(latest))
  const restored = new MemoryStore(clock)
  restored.list = store.list
  // What a failover without the last three writes leaves behind.
  const { content, signer, sid } = record ?? { content: '', signer: '', sid: '' }
  await store.end(userTag, sid)
  await store.create(userTag, {
    sid,
    content,
    signer,
    idleLifetime: day,
    absoluteLifetime: 2 * day,
    maxSessions: 50
  })
  const healed = toClient(await refresh(latest))
  t.equal(peek(healed.refreshToken).gen, 5)
  t.equal(toClient(await refresh(latest)).refreshToken, healed.refreshToken)
  t.match(seen().slice(-3), [
    ['heal', { sid, distance: 3, generation: 5 }],
    ['refresh', { sid, generation: 5 }],
    ['repeat', { sid }]
  ])
})

t.test('a page of a foreign origin is refused, and changes nothing', async (t) => {
  const { login, refresh, logout, app } = await build(t, {
    trustedOrigins: ['https://app.example.com']
  })
  const client = await login()
  const before = await app.sessions.list('ada')
  const foreign = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: 'https://localhost' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': '' },
    { origin: 'https://evil.example' },
    { origin: 'https://localhost:8443' },
    { origin: 'null' },
    { origin: 'https://app.example.com.evil.example' },
    { origin: 'http://local host' },
    // A password that the browser remembers goes with the forms of any page.
    { origin: 'https://evil.example', authorization: 'Basic eDp5' }
  ]
  for (const headers of foreign) {
    for (const response of [
      await refresh(client, { headers }),
      await logout(client, { headers })
    ]) {
      t.equal(response.statusCode, 403, JSON.stringify(headers))
      t.equal(code(response), 'CROSS_ORIGIN_REQUEST')
      t.notOk(response.headers['set-cookie'])
    }
  }
  for (const authorization of ['', 'Basic eDp5', 'Negotiate x', 'Bearerish x']) {
    const headers = { 'sec-fetch-site': 'cross-site', authorization }
    const answer = await logout({ cookie: '' }, { headers })
    t.equal(answer.statusCode, 403, 'nor can it clear a cookie that it cannot send')
    t.notOk(answer.headers['set-cookie'])
  }
  t.strictSame(await app.sessions.list('ada'), before)
  const own = [
    {},
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://localhost:80', host: 'localhost:80' },
    { origin: 'http://localhost', host: 'localhost:80' },
    { origin: 'https://app.example.com', 'sec-fetch-site': 'cross-site' },
    { origin: 'https://app.example.com' }
  ]
  for (const headers of own) {
    t.equal((await refresh(client, { headers })).statusCode, 200, JSON.stringify(headers))
  }
})

t.test('the token is judged before the origin', async (t) => {
  const { refresh, login, clock } = await build(t)
  const headers = { 'sec-fetch-site': 'cross-site' }
  t.equal(code(await refresh({ cookie: '' }, { headers })), 'REFRESH_TOKEN_MISSING')
  t.equal(
    code(await refresh({ cookie: '__Host-refresh_token=x' }, { headers })),
    'REFRESH_TOKEN_INVALID'
  )
  const client = await login()
  clock.pass(14 * day)
  t.equal(code(await refresh(client, { headers })), 'REFRESH_TOKEN_EXPIRED')
})

t.test('among cookies of one name the authentic one counts', async (t) => {
  const { login, refresh, clock } = await build(t)
  const old = await login()
  const ended = await login()
  const client = toClient(await refresh(old))
  const cookies = (...list: Array<{ cookie: string }>) => ({
    cookie: list.map(({ cookie }) => cookie).join('; ')
  })
  const junk = { cookie: '__Host-refresh_token=junk; a=b; __Host-refresh_token="' }
  t.equal(peek(toClient(await refresh(cookies(junk, client))).refreshToken).gen, 3)
  t.equal(
    peek(toClient(await refresh(cookies(old, client, junk))).refreshToken).gen,
    3,
    'of one session, the newest'
  )
  clock.pass(minute)
  const revived = await login({ sub: 'bob' })
  clock.pass(-minute)
  await refresh(ended)
  t.equal((await refresh(cookies(revived, ended))).statusCode, 200)
})

t.test('a cookie whose session is ended now does not lock out the living one beside it', async (t) => {
  const reuses: string[] = []
  const { login, refresh, app, clock } = await build(t, {
    onReuse: ({ sub }) => {
      reuses.push(sub)
    },
    claims: ({ sub }) => (sub === 'eve' ? null : {})
  })
  const living = await login({ sub: 'ada' })
  clock.pass(minute)
  const planted = await login({ sub: 'mallory' })
  await refresh(toClient(await refresh(planted)))
  clock.pass(10 * sec)
  const denied = await login({ sub: 'eve' })
  const response = await refresh({
    cookie: `${planted.cookie}; ${denied.cookie}; ${living.cookie}`
  })
  t.equal(peek(toClient(response).refreshToken).key, peek(living.refreshToken).key)
  t.strictSame(reuses, ['mallory'])
  t.strictSame(await app.sessions.list('mallory'), [])
  t.strictSame(await app.sessions.list('eve'), [])
})

t.test('a living session is found beside the cookie of one that is over', async (t) => {
  const { login, refresh, app, clock } = await build(t)
  const living = await login({ sub: 'ada' })
  clock.pass(minute)
  const over = await login({ sub: 'bob' })
  await app.sessions.revokeAll('bob')
  const response = await refresh({ cookie: `${over.cookie}; ${living.cookie}` })
  t.equal(peek(toClient(response).refreshToken).key, peek(living.refreshToken).key)
})

t.test('while the clock of the store is not known, the store is asked whether a token is out of time', async (t) => {
  const clock = new TestClock()
  const store = new MemoryStore(clock)
  const { login, refresh, logout } = await build(t, { store })
  const client = await login()
  clock.pass(14 * day)
  let known = false
  const rotate = store.rotate.bind(store)
  Object.assign(store, {
    now: () => (known ? clock.ms : undefined),
    rotate: async (...args: Parameters<typeof rotate>) => {
      known = true
      return await rotate(...args)
    }
  })
  t.equal((await logout({ cookie: client.cookie })).statusCode, 204)
  t.equal(code(await refresh(client)), 'REFRESH_TOKEN_EXPIRED')
  t.ok(known)
})

for (const name of ['MemoryStore', 'RedisStore']) {
  t.test(`${name}: 200 refreshes at once come to one rotation and one refresh token`, async (t) => {
    const seen = observe(t)
    const store =
      name === 'MemoryStore' ? new MemoryStore() : new RedisStore((await redisFor(t)).client())
    const nodes = [await build(t, { store }), await build(t, { store })] as const
    const client = await nodes[0].login()
    const responses = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => await nodes[i % 2 === 0 ? 0 : 1].refresh(client))
    )
    const clients = responses.map(toClient)
    t.equal(new Set(clients.map(({ refreshToken }) => refreshToken)).size, 1)
    t.equal(peek(clients[0]?.refreshToken ?? '').gen, 2)
    t.equal(seen().filter(([name]) => name === 'refresh').length, 1)
    t.equal(seen().filter(([name]) => name === 'repeat').length, 199)
  })
}

t.test('a store that has lost everything answers 401, and no alarm', async (t) => {
  const server = await redisFor(t)
  const redis = server.client()
  const seen = observe(t)
  const { login, refresh } = await build(t, { redis })
  const client = await login()
  await redis.flushall()
  const response = await refresh(client)
  t.equal(code(response), 'REFRESH_TOKEN_INVALID')
  t.strictSame(await redis.keys('*'), [])
  t.notOk(seen().some(([name]) => name === 'reuse'))
})

t.test('a store that is silent or gone answers 503 in time, and nothing is lost', async (t) => {
  const server = await redisFor(t)
  const seen = observe(t)
  const { login, refresh, logout, me, app } = await build(t, {
    redis: server.client(),
    storeTimeout: 0.1
  })
  const client = await login()
  const refused = async () => {
    for (const response of [
      await refresh(client),
      await logout(client),
      await me(client, '/live'),
      await app.inject({ method: 'POST', url: '/login', payload: { claims: { sub: 'ada' } } })
    ]) {
      t.match(response.json(), { statusCode: 503, code: 'STORE_UNAVAILABLE' })
      t.equal(response.headers['retry-after'], '1')
      t.notOk(response.headers['set-cookie'])
    }
    t.equal((await me(client)).statusCode, 200, 'the guard needs no store')
    await t.rejects(app.sessions.list('ada'), { code: 'STORE_UNAVAILABLE' })
  }
  await server.pause()
  await refused()
  t.ok(seen().some(([name, { error }]) => name === 'store-error' && error instanceof Error))
  await server.resume()
  const again = toClient(await refresh(client))
  t.match(peek(again.refreshToken), { gen: 2 }, 'nothing was spent')
  t.equal((await app.sessions.list('ada')).length, 1, 'and no login took effect after its 503')
  await server.kill()
  await refused()
})

t.test('a dump of Redis holds no token and no part of one', async (t) => {
  const server = await redisFor(t)
  const redis = server.client()
  const { login, refresh } = await build(t, { redis })
  const first = await login({ sub: 'ada', role: 'admin' })
  const second = toClient(await refresh(first))
  const dump = JSON.stringify(
    await Promise.all(
      (await redis.keys('*')).map(async (key) => [key, String(await redis.dump(key))])
    )
  )
  t.match(dump, String(peek(first.body.access_token).sid))
  for (const { refreshToken, body } of [first, second]) {
    for (const secretPart of [
      String(peek(refreshToken).key),
      ...refreshToken.split('.'),
      ...body.access_token.split('.')
    ]) {
      t.notOk(dump.includes(secretPart))
    }
  }
})

t.test('one command for a login, a refresh and a logout, and none for anything that needs none', async (t) => {
  const server = await redisFor(t)
  const { login, refresh, logout, me } = await build(t, { redis: server.client() })
  const seen = await monitor(server)
  const commands = async () => (await seen.flush()).map(([name]) => name)
  const client = await login()
  t.strictSame(await commands(), ['evalsha'])
  const next = toClient(await refresh(client))
  t.strictSame(await commands(), ['evalsha'])
  await refresh(client)
  t.strictSame(await commands(), ['evalsha'])
  await me(next)
  await me({ authorization: '' })
  await me({ authorization: 'Bearer x.y.z' })
  await refresh({ cookie: '__Host-refresh_token=x.y.z' })
  await refresh({ cookie: '' })
  await logout({ cookie: '' })
  t.strictSame(await commands(), [])
  t.equal((await me(next, '/live')).statusCode, 200)
  t.strictSame(await commands(), ['evalsha'])
  await logout(next)
  t.strictSame(await commands(), ['evalsha'])
})
