import { createSecretKey, createHmac } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import authPlugin, { MemoryStore } from '../lib/index'
import { build, day, hour, minute, peek, secret, second, TestClock } from './support/app'

/** An array in an array, so many times. */
function nested (times: number): unknown {
  let value: unknown = []
  for (let i = 0; i < times; i++) value = [value]
  return value
}

t.test('a login answers an access token and sets the refresh token as a cookie', async (t) => {
  const { login, clock } = await build(t)
  const { body, response, refreshToken } = await login({ sub: 'ada', role: 'admin' })
  t.strictSame(Object.keys(body), ['access_token', 'token_type', 'expires_in'])
  t.match(body, { token_type: 'Bearer', expires_in: 1800 })
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(
    response.headers['set-cookie'],
    `__Host-refresh_token=${refreshToken}; Max-Age=1209600; Path=/; HttpOnly; Secure; SameSite=Strict`
  )
  t.notMatch(response.body, refreshToken, 'which stands nowhere else')

  const now = clock.ms / 1000
  t.match(peek(body.access_token, 0), { alg: 'HS256', typ: 'at+jwt', kid: /^[\w-]{8}$/ })
  const { sid, ...claims } = peek(body.access_token)
  t.match(sid, /^[\w-]{22}$/)
  t.strictSame(claims, { sub: 'ada', role: 'admin', iat: now, exp: now + 1800, auth_time: now })

  t.match(peek(refreshToken, 0), { alg: 'HS256', typ: 'rt+jwt' })
  const { key, tag, ...rest } = peek(refreshToken)
  t.strictSame(rest, { gen: 1, at: 0, via: 'cookie', exp: now + 14 * day / second })
  t.notMatch(JSON.stringify(peek(refreshToken)), /ada/, 'it says nothing about the user')
  t.not(key, sid)
  t.match(tag, /^[\w-]{20}$/)
})

t.test('an access token is signed with the secret itself, a refresh token is not', async (t) => {
  const { login, clock } = await build(t)
  const { body, refreshToken } = await login()
  const { jwtVerify } = await import('jose')
  const key = createSecretKey(Buffer.from(secret))
  const { payload } = await jwtVerify(body.access_token, key, {
    typ: 'at+jwt',
    algorithms: ['HS256'],
    currentDate: new Date(clock.ms)
  })
  t.equal(payload.sub, 'ada')
  await t.rejects(jwtVerify(refreshToken, key, { currentDate: new Date(clock.ms) }), {
    code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'
  })
})

t.test('neither kind of token is accepted as the other', async (t) => {
  const { login, me, refresh } = await build(t)
  const { body, refreshToken } = await login()
  t.match((await me({ authorization: `Bearer ${refreshToken}` })).json(), {
    code: 'ACCESS_TOKEN_INVALID'
  })
  t.match((await refresh({ cookie: `__Host-refresh_token=${body.access_token}` })).json(), {
    code: 'REFRESH_TOKEN_INVALID'
  })
  const [head, payload] = refreshToken.split('.')
  const forged = `${head}.${payload}.${createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url')}`
  t.match(
    (await refresh({ cookie: `__Host-refresh_token=${forged}` })).json(),
    { code: 'REFRESH_TOKEN_INVALID' },
    'not even with the secret'
  )
})

t.test('an access token never outlives its session', async (t) => {
  const { login, refresh, clock } = await build(t, {
    accessToken: { lifetime: '1h' },
    refreshToken: { absoluteLifetime: '90m' }
  })
  const client = await login()
  t.equal(client.body.expires_in, 3600)
  clock.pass(hour)
  const response = await refresh(client)
  t.equal(response.json().expires_in, 1800)
  t.match(response.headers['set-cookie'], /Max-Age=1800;/)
})

t.test('wrong arguments of a login are the mistake of the application', async (t) => {
  const { app } = await build(t)
  const cyclic: Record<string, unknown> = { sub: 'ada' }
  cyclic.self = cyclic
  const cases: Array<[unknown, unknown, RegExp]> = [
    [undefined, undefined, /claims are missing; they must be a plain object/],
    ['ada', undefined, /claims are of type string; they/],
    [new Date(), undefined, /claims are of type Date; they/],
    [new (class { static name () {} })(), undefined, /claims are of type object; they/],
    [
      new (class { static get name () { throw new Error('no') } })(), undefined,
      /claims are of type object; they/
    ],
    [{}, undefined, /claims\.sub is undefined/],
    [{ sub: '' }, undefined, /claims\.sub is ""/],
    [{ sub: 7 }, undefined, /claims\.sub is 7/],
    [{ sub: 'ada', deep: nested(5_000) }, undefined, /… is more than 1000 levels deep; claims/],
    [{ sub: 'ada' }, { data: nested(5_000) }, /data\.\S+… is more than 1000 levels deep; it must be plain JSON/],
    [{ sub: 'ada' }, { data: () => {} }, /data is of type function; it must be plain JSON/],
    [{ sub: 'ada', sid: 'x' }, undefined, /claim sid/],
    [{ sub: 'ada', exp: 1 }, undefined, /claim exp/],
    [{ sub: 'ada', since: new Date() }, undefined, /claim since is of type Date; claims must be plain JSON/],
    [{ sub: 'ada', a: { b: [1, () => {}] } }, undefined, /claim a\.b\.1 is of type function/],
    [{ sub: 'ada', n: NaN }, undefined, /claim n is NaN/],
    [{ sub: 'ada', list: [undefined] }, undefined, /claim list\.0 is missing/],
    [cyclic, undefined, /claim self\.self holds itself/],
    [{ sub: 'ada', big: 'x'.repeat(9000) }, undefined, /access token of \d+ characters/],
    [{ sub: 'ada' }, 'phone', /options are "phone"/],
    [{ sub: 'ada' }, { divice: 'phone' }, /divice is unknown/],
    [{ sub: 'ada' }, { transport: 'body' }, /transport "body" is not on/],
    [{ sub: 'ada' }, { remember: 1 }, /remember is 1/],
    [{ sub: 'ada' }, { device: 1 }, /device is 1/]
  ]
  let args: unknown[] = []
  const probe = Fastify()
  t.teardown(async () => await probe.close())
  await probe.register(authPlugin, { secret, store: new MemoryStore() })
  probe.post('/login', async (_request, reply) => await reply.login(...args as [never]))
  for (const [claims, options, message] of cases) {
    args = options === undefined ? [claims] : [claims, options]
    const response = await probe.inject({ method: 'POST', url: '/login' })
    t.match(response.json(), { statusCode: 500, code: 'INVALID_LOGIN', message })
    t.notOk(response.headers['set-cookie'])
  }
  t.strictSame(await app.sessions.list('ada'), [])
  args = [{ sub: 'ada', role: undefined, nested: { list: [1, 'a', true, null] } }, { device: null }]
  t.match(
    (await probe.inject({ method: 'POST', url: '/login' })).statusCode,
    200,
    'what is undefined is not there'
  )
})

t.test('a long device label is cut', async (t) => {
  const { login, app } = await build(t)
  await login({ sub: 'ada' }, { device: 'Mozilla/5.0 '.repeat(100) })
  t.equal((await app.sessions.list('ada'))[0]?.device?.length, 255)
})

t.test('a session is listed as users are promised', async (t) => {
  const { login, refresh, app, clock } = await build(t)
  const client = await login({ sub: 'ada', role: 'admin' }, { device: 'phone' })
  const createdAt = clock.ms
  clock.pass(minute)
  await refresh(client)
  t.strictSame(await app.sessions.list('ada'), [{
    sid: peek(client.body.access_token).sid,
    sub: 'ada',
    claims: { sub: 'ada', role: 'admin' },
    device: 'phone',
    data: null,
    transport: 'cookie',
    bound: null,
    generation: 2,
    createdAt,
    refreshedAt: clock.ms,
    expiresAt: clock.ms + 14 * day,
    deadline: createdAt + 90 * day
  }])
})

t.test('cookies take the strictest name that their attributes allow', async (t) => {
  const cases: Array<[object, RegExp]> = [
    [{ prefix: '' }, /^__Host-refresh_token=.*; Path=\/; HttpOnly; Secure; SameSite=Strict$/],
    [{ prefix: '/' }, /^__Host-refresh_token=.*; Path=\/;/],
    [{ refreshToken: { cookie: { path: '/' } } }, /^__Host-refresh_token=/],
    [
      { refreshToken: { cookie: { path: '/', domain: 'example.com' } } },
      /^__Secure-refresh_token=.*; Domain=example\.com; Path=\/;/
    ],
    [
      { refreshToken: { cookie: { secure: false } } },
      /^refresh_token=.*; Path=\/; HttpOnly; SameSite=Strict$/
    ],
    [
      { refreshToken: { cookie: { name: 'rt', sameSite: 'lax' } } },
      /^rt=.*; Path=\/; HttpOnly; Secure; SameSite=Lax$/
    ],
    [{ prefix: '/api/session/' }, /^__Host-refresh_token=.*; Path=\/;/],
    [{ refreshToken: { cookie: { path: '/auth' } } }, /^__Secure-refresh_token=.*; Path=\/auth;/]
  ]
  for (const [options, expected] of cases) {
    const { login } = await build(t, options)
    t.match((await login()).response.headers['set-cookie'], expected)
  }
})

t.test('the path of the cookie has an enclosing prefix too', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(async (api) => {
    await api.register(authPlugin, { secret, store: new MemoryStore() })
    api.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  }, { prefix: '/api' })
  const response = await app.inject({ method: 'POST', url: '/api/login' })
  t.match(response.headers['set-cookie'], /; Path=\/api;/)
  const { name, value } = response.cookies[0] ?? { name: '', value: '' }
  t.equal(
    (await app.inject({ method: 'POST', url: '/api/auth/refresh', cookies: { [name]: value } }))
      .statusCode,
    200
  )
})

t.test('the path of the cookie is one that browsers send it back to', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(async (api) => {
    await api.register(authPlugin, { secret, store: new MemoryStore() })
    api.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  }, { prefix: '/api/' })
  t.match(
    (await app.inject({ method: 'POST', url: '/api/login' })).headers['set-cookie'],
    /; Path=\/api;/
  )
  const tenants = Fastify()
  tenants.register(
    async (tenant) => {
      await tenant.register(authPlugin, { secret, store: new MemoryStore() })
    },
    { prefix: '/:tenant' }
  )
  await t.rejects(async () => await tenants.ready(), {
    code: 'INVALID_OPTION',
    message:
      /cookie\.path is missing; allowed: a fixed path: that of the plugin's scope, \/:tenant, has parameters/
  })
})

t.test('the cookie lives as long as the session can, never over 400 days', async (t) => {
  const { login } = await build(t, {
    refreshToken: { idleLifetime: '500d', absoluteLifetime: '600d' }
  })
  t.match((await login()).response.headers['set-cookie'], /Max-Age=34560000;/)
})

t.test('the memory store says once what it is, and RedisStore nothing', async (t) => {
  const lines: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } }
  const { login } = await build(t, { server: { logger }, store: new MemoryStore(new TestClock()) })
  await login()
  await login()
  t.equal(
    lines.filter((line) => /^.*MemoryStore: sessions live in this process only/.test(line)).length,
    1
  )
})
