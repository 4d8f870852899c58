import Fastify, { type FastifyReply } from 'fastify'
import t from 'tap'
import authPlugin, { MemoryStore, type Store } from '../lib/index'
import { day, minute, peek, second, secret } from './support/app'
import { challenges, code, onBoth, refused, serve } from './support/dpop/serve'
import { observe } from './support/events'
import { createDevice } from './support/proofs'
import { redisFor } from './support/servers/redis'

onBoth('a login that brings a proof is bound to its key', async (t, begin) => {
  const { app, phone } = await begin()
  const events = observe(t)
  const login = await phone.login()
  t.match(login, { statusCode: 200, headers: { 'dpop-nonce': undefined } })
  const cnf = { jkt: phone.device.jkt }
  t.match(peek(phone.refreshToken), { cnf })
  t.match(peek(phone.accessToken), { bound: true, cnf: undefined })
  t.equal(phone.tokenType, 'Bearer')
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 1 }])
  t.equal((await phone.me()).statusCode, 200)
  t.equal((await phone.refresh()).statusCode, 200)
  t.match(peek(phone.refreshToken), { cnf, gen: 2 })
  t.match(peek(phone.accessToken), { bound: true })
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 2 }])
  t.strictSame(events().map(([name]) => name), ['login', 'refresh'])
})

onBoth('a login with a bad proof is refused, and none is unbound', async (t, begin) => {
  const { app, phone, now } = await begin()
  refused(t, await phone.login({}, 'x'), 400, 'DPOP_PROOF_INVALID')
  refused(t, await phone.login({}, ''), 400, 'DPOP_PROOF_INVALID')
  const elsewhere = phone.prove('POST', '/auth/refresh')
  refused(t, await phone.login({}, elsewhere), 400, 'DPOP_PROOF_INVALID')
  refused(t, await phone.login({}, phone.prove('GET', '/login')), 400, 'DPOP_PROOF_INVALID')
  const iat = now() / 1000 - 601
  refused(t, await phone.login({}, phone.prove('POST', '/login', { iat })), 400,
    'DPOP_NONCE_REQUIRED')
  t.strictSame(await app.sessions.list('ada'), [])
  t.equal((await phone.login({}, phone.prove('POST', '/login', { iat }))).statusCode, 200,
    'with the nonce of that answer the time is not looked at')
  t.equal((await phone.login({}, null)).statusCode, 200)
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop' }, { bound: null }])
  t.match(peek(phone.refreshToken), { cnf: undefined })
  t.match(peek(phone.accessToken), { bound: undefined })
  t.equal((await phone.refresh(null)).statusCode, 200)
  t.equal((await phone.refresh('x')).statusCode, 200, 'nobody asks for the proof of no key')
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop' }, { bound: null, generation: 3 }])
})

t.test('a login can demand a proof', async (t) => {
  const { app, phone } = await serve(t)
  refused(t, await phone.login({ bound: true }, null), 400, 'DPOP_PROOF_MISSING')
  t.strictSame(await app.sessions.list('ada'), [])
  t.equal((await phone.login({ bound: true })).statusCode, 200)
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop' }])
  t.match((await phone.login({ bound: 1 })).json(), {
    code: 'INVALID_LOGIN', message: /bound is 1; it must be true or false/
  })
  await t.rejects(app.sessions.open({ sub: 'ada' }, { bound: true }), {
    code: 'INVALID_LOGIN', message: /no request could bring a proof/
  })
  await app.sessions.open({ sub: 'eve' })
  t.match(await app.sessions.list('eve'), [{ bound: null }])
})

t.test('where the option is off, nobody looks at a proof', async (t) => {
  for (const bindings of [[], ['dbsc' as const]]) {
    const { app, phone } = await serve(t, { refreshToken: { bindings } })
    t.equal((await phone.login({}, 'x')).statusCode, 200)
    t.match(await app.sessions.list('ada'), [{ bound: null }])
    t.match((await phone.login({ bound: true })).json(), {
      code: 'INVALID_LOGIN', message: /that needs 'dpop' in refreshToken.bindings/
    })
  }
})

onBoth('a refresh without a proof by the key changes nothing', async (t, begin) => {
  for (const transport of ['cookie', 'body'] as const) {
    const { app, phone, holder } = await begin()
    phone.transport = transport
    await phone.login()
    const events = observe(t)
    const before = await app.sessions.list('ada')
    refused(t, await phone.refresh(null), 400, 'DPOP_PROOF_MISSING')
    refused(t, await phone.refresh('x'), 400, 'DPOP_PROOF_INVALID')
    refused(t, await phone.refresh(phone.prove('POST', '/login')), 400, 'DPOP_PROOF_INVALID')
    const [proof, other] = [0, 1].map(() => phone.prove('POST', '/auth/refresh'))
    refused(t, await phone.refresh(`${proof}, ${other}`), 400, 'DPOP_PROOF_INVALID')
    const stale = { nonce: undefined, iat: 0 }
    refused(t, await phone.refresh(phone.prove('POST', '/auth/refresh', stale)), 400,
      'DPOP_NONCE_REQUIRED')
    const thief = holder()
    Object.assign(thief, { transport, refreshToken: phone.refreshToken, nonce: phone.nonce })
    refused(t, await thief.refresh(), 401, 'REFRESH_TOKEN_UNPROVEN')
    const { sid } = before[0] ?? {}
    const event = { sid, generation: 1, redirected: false }
    t.strictSame(events(), [['unproven', event], ['unproven', event]])
    t.strictSame(await app.sessions.list('ada'), before)
    t.equal((await phone.refresh()).statusCode, 200, 'the owner goes on')
    await app.sessions.revokeAll('ada')
  }
})

t.test('a bound token that is spent is no reuse without its proof, and one with it', async (t) => {
  const { app, phone, clock } = await serve(t)
  await phone.login()
  const spent = phone.refreshToken
  await phone.refresh()
  clock.pass(minute)
  await phone.refresh()
  const current = phone.refreshToken
  const events = observe(t)
  phone.refreshToken = spent
  refused(t, await phone.refresh(null), 400, 'DPOP_PROOF_MISSING')
  refused(t, await phone.refresh('x'), 400, 'DPOP_PROOF_INVALID')
  t.match(await app.sessions.list('ada'), [{ generation: 3 }])
  phone.refreshToken = current
  t.equal((await phone.refresh()).statusCode, 200)
  phone.refreshToken = spent
  t.equal(code(await phone.refresh()), 'REFRESH_TOKEN_REUSED')
  t.strictSame(events().map(([name]) => name), ['unproven', 'refresh', 'reuse'])
  t.strictSame(await app.sessions.list('ada'), [])
})

/** Counts the steps that a store is asked for. */
function counting (store: Store): { store: Store, steps: string[] } {
  const steps: string[] = []
  const proxy = new Proxy(store, {
    get: (target, name) => {
      const value = target[name as keyof Store] as unknown
      if (typeof value !== 'function' || name === 'now') return value
      return (...args: unknown[]) => { steps.push(String(name)); return value.apply(target, args) }
    }
  })
  return { store: proxy, steps }
}

t.test('the store is asked for a proven token only', async (t) => {
  const { store, steps } = counting(new MemoryStore())
  const { app, phone, holder, login } = await serve(t, { store })
  phone.nonce = undefined
  const now = { iat: Date.now() / 1000 }
  await phone.login({}, phone.prove('POST', '/login', now))
  steps.length = 0
  const thief = holder()
  thief.refreshToken = phone.refreshToken
  for (const dpop of [null, 'x', thief.prove('POST', '/auth/refresh', now)]) {
    const { statusCode } = await phone.refresh(dpop)
    t.ok(statusCode === 400 || statusCode === 401)
    await phone.logout({ all: true }, dpop)
  }
  t.strictSame(steps, [])
  await phone.refresh(phone.prove('POST', '/auth/refresh', now))
  t.strictSame(steps, ['rotate'])
  await login()
  t.equal((await app.sessions.list('ada')).length, 2)
})

t.test('by body a proof needs a nonce, which login and refresh hand out', async (t) => {
  const { phone, clock } = await serve(t)
  phone.transport = 'body'
  const login = await phone.login()
  t.match(login.headers, { 'dpop-nonce': /^[\w-]{43}$/ })
  const first = phone.nonce
  const refresh = await phone.refresh()
  t.equal(refresh.statusCode, 200)
  t.equal(refresh.headers['dpop-nonce'], first, 'it is that of the minute')
  const bare = phone.prove('POST', '/auth/refresh', { nonce: undefined })
  refused(t, await phone.refresh(bare), 400, 'DPOP_NONCE_REQUIRED')
  clock.pass(4 * minute)
  t.equal((await phone.refresh()).statusCode, 200)
  phone.nonce = first
  clock.pass(minute)
  refused(t, await phone.refresh(), 400, 'DPOP_NONCE_REQUIRED', 'after five minutes')
  t.not(phone.nonce, first)
  t.equal((await phone.refresh()).statusCode, 200)
})

t.test('nothing of a key is stored, and the session takes no byte more', async (t) => {
  const redis = (await redisFor(t)).client()
  const { phone } = await serve(t, { redis })
  const sizes: number[] = []
  for (const dpop of [undefined, null]) {
    await phone.login({ replace: false }, dpop)
    const [key = ''] = await redis.keys('*')
    const dump = Buffer.concat(await redis.hvalsBuffer(key))
    for (const text of [phone.device.jkt, String(phone.device.jwk.x), phone.refreshToken]) {
      t.notOk(dump.includes(text))
      t.notOk(dump.includes(Buffer.from(text, 'base64url')))
    }
    sizes.push(dump.length)
    await redis.flushall()
  }
  t.equal(sizes[0], sizes[1])
})

onBoth('200 presentations with one proof are one rotation and 200 equal tokens',
  async (t, begin) => {
    for (const transport of ['cookie', 'body'] as const) {
      const { app, phone } = await begin()
      phone.transport = transport
      await phone.login()
      const { refreshToken } = phone
      const proof = phone.prove('POST', '/auth/refresh')
      const events = observe(t)
      const all = await Promise.all(Array.from({ length: 200 }, async () => {
        phone.refreshToken = refreshToken
        return await phone.refresh(proof)
      }))
      t.ok(all.every(({ statusCode }) => statusCode === 200))
      const tokens = all.map(({ cookies, body }) =>
        transport === 'body' ? JSON.parse(body).refresh_token : cookies[0]?.value)
      t.equal(new Set(tokens).size, 1)
      t.match(peek(tokens[0]), { gen: 2, cnf: { jkt: phone.device.jkt } })
      t.equal(events().filter(([name]) => name === 'refresh').length, 1)
      t.match(await app.sessions.list('ada'), [{ generation: 2 }])
      await app.sessions.revokeAll('ada')
    }
  })

t.test('a session stays bound whatever the options say later', async (t) => {
  const store = new MemoryStore()
  const { phone: before } = await serve(t, { store })
  const now = () => ({ iat: Date.now() / 1000 })
  await before.login({}, before.prove('POST', '/login', now()))
  const { app, holder } = await serve(t, { store, refreshToken: { bindings: [] } })
  const phone = holder(before.device)
  phone.refreshToken = before.refreshToken
  refused(t, await phone.refresh(null), 400, 'DPOP_PROOF_MISSING')
  const proof = phone.prove('POST', '/auth/refresh', now())
  t.equal((await phone.refresh(proof)).statusCode, 200)
  t.match(peek(phone.refreshToken), { cnf: { jkt: phone.device.jkt } })
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop' }])
})

t.test('it lives on past idle time and rings, by proofs', async (t) => {
  const { phone, clock } = await serve(t)
  await phone.login()
  for (let i = 0; i < 6; i++) {
    clock.pass(13 * day)
    t.equal((await phone.refresh()).statusCode, 200)
  }
  clock.pass(15 * day)
  t.equal(code(await phone.refresh()), 'REFRESH_TOKEN_EXPIRED', 'which comes before the proof')
  t.equal(code(await phone.refresh(null)), 'REFRESH_TOKEN_EXPIRED')
})

t.test('what is wrong with the token, or with the page, is said before the proof', async (t) => {
  const { phone } = await serve(t)
  await phone.login()
  const { refreshToken } = phone
  phone.refreshToken = 'x'
  t.equal(code(await phone.refresh(null)), 'REFRESH_TOKEN_INVALID')
  phone.refreshToken = refreshToken
  const foreign = { 'sec-fetch-site': 'cross-site' }
  t.equal(code(await phone.refresh(null, foreign)), 'CROSS_ORIGIN_REQUEST')
  t.equal(code(await phone.refresh(undefined, foreign)), 'CROSS_ORIGIN_REQUEST')
})

t.test('among several cookies, one that is bound locks no other out', async (t) => {
  const { phone, holder, app } = await serve(t)
  const other = holder()
  await other.login()
  await phone.login({}, null)
  const cookie = [other, phone]
    .map(({ refreshToken }) => `__Host-refresh_token=${refreshToken}`).join('; ')
  const post = async (dpop?: string) =>
    await phone.post('/auth/refresh', undefined, { cookie, ...dpop === undefined ? {} : { dpop } })
  const unbound = await post()
  t.equal(unbound.statusCode, 200, 'the unbound one is let in')
  t.match(peek(unbound.json<{ access_token: string }>().access_token), { bound: undefined })
  await app.sessions.revoke('ada', String(peek(phone.accessToken).sid))
  refused(t, await post(), 400, 'DPOP_PROOF_MISSING',
    'what a proof overcomes is said before that the other one is over')
  const bound = await post(other.prove('POST', '/auth/refresh'))
  t.match(peek(bound.json<{ access_token: string }>().access_token), { bound: true })
})

t.test('the claims hook hears of proven refreshes only', async (t) => {
  let heard = 0
  const claims = () => ({ seen: ++heard })
  const { phone, app } = await serve(t, { claims })
  await phone.login()
  for (const dpop of [null, 'x']) await phone.refresh(dpop)
  t.equal(heard, 0)
  t.equal((await phone.refresh()).statusCode, 200)
  t.match(peek(phone.accessToken), { seen: 1, bound: true })
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop' }])
})

t.test('a token that is spent on use is bound all the same', async (t) => {
  const { phone, clock, holder } = await serve(t, { refreshToken: { spentOn: 'use' } })
  await phone.login()
  for (let i = 0; i < 3; i++) {
    clock.pass(minute)
    const thief = holder()
    thief.refreshToken = phone.refreshToken
    refused(t, await thief.refresh(), 401, 'REFRESH_TOKEN_UNPROVEN')
    t.equal((await phone.refresh()).statusCode, 200)
  }
})

onBoth('logout asks for no proof; to end all sessions, a refresh token does', async (t, begin) => {
  const { app, phone, holder } = await begin()
  for (const transport of ['cookie', 'body'] as const) {
    phone.transport = transport
    await phone.login()
    t.equal((await phone.logout()).statusCode, 204)
    t.strictSame(await app.sessions.list('ada'), [])

    await phone.login()
    const before = await app.sessions.list('ada')
    const events = observe(t)
    refused(t, await phone.logout({ all: true }), 401, 'REFRESH_TOKEN_UNPROVEN')
    refused(t, await phone.logout({ all: true }, 'x'), 400, 'DPOP_PROOF_INVALID')
    const thief = holder()
    Object.assign(thief, { transport, refreshToken: phone.refreshToken, nonce: phone.nonce })
    const byThief = await thief.logout({ all: true }, thief.prove('POST', '/auth/logout'))
    refused(t, byThief, 401, 'REFRESH_TOKEN_UNPROVEN')
    t.strictSame(events().map(([name]) => name), ['unproven', 'unproven'])
    t.strictSame(await app.sessions.list('ada'), before)
    if (transport === 'body') {
      const bare = phone.prove('POST', '/auth/logout', { nonce: undefined })
      refused(t, await phone.logout({ all: true }, bare), 400, 'DPOP_NONCE_REQUIRED')
    }
    const proven = await phone.logout({ all: true }, phone.prove('POST', '/auth/logout'))
    t.equal(proven.statusCode, 204)
    t.strictSame(await app.sessions.list('ada'), [])
  }
})

t.test('a living access token ends all sessions without a proof', async (t) => {
  const { app, phone } = await serve(t)
  await phone.login()
  await phone.login({ replace: false })
  const authorization = `Bearer ${phone.accessToken}`
  const cookie = `__Host-refresh_token=${phone.refreshToken}`
  const response = await phone.post('/auth/logout', { all: true }, { authorization, cookie })
  t.equal(response.statusCode, 204)
  t.strictSame(await app.sessions.list('ada'), [])
})

t.test('a refusal keeps its headers whatever error handler the application has', async (t) => {
  type Thrown = { statusCode?: number, code?: string }
  const errorHandler = async (
    { statusCode = 500, code }: Thrown, _request: unknown, reply: FastifyReply
  ) => await reply.code(statusCode).send({ code, mine: true })
  const { phone, clock } = await serve(t, {
    routes: { refresh: { errorHandler }, logout: { errorHandler } },
    extend: (app) => {
      app.setErrorHandler(errorHandler)
      app.post('/leave', async (_request, reply) => {
        await reply.logout({ all: true })
        return {}
      })
    }
  })
  const stale = { iat: 0, nonce: undefined }
  await phone.login()
  const cookie = `__Host-refresh_token=${phone.refreshToken}`
  const leave = async (dpop: string) => await phone.post('/leave', undefined, { cookie, dpop })
  const answers = [
    await phone.login({}, phone.prove('POST', '/login', stale)),
    await phone.refresh(phone.prove('POST', '/auth/refresh', stale)),
    await phone.logout({ all: true }, phone.prove('POST', '/auth/logout', stale)),
    await leave(phone.prove('POST', '/leave', stale))
  ]
  for (const answer of answers) {
    t.match(answer.json(), { mine: true })
    refused(t, answer, 400, 'DPOP_NONCE_REQUIRED')
  }
  clock.pass(second)
  t.equal((await leave(phone.prove('POST', '/leave'))).statusCode, 200)
})

t.test('a login that brings a proof is offered no DBSC', async (t) => {
  const { app, phone } = await serve(t, { refreshToken: { bindings: ['dbsc', 'dpop'] } })
  const header = 'secure-session-registration'
  t.equal((await phone.login()).headers[header], undefined)
  t.match((await phone.login({}, null)).headers[header], /challenge=/)
  await phone.login()
  const skipped = { 'secure-session-skipped': 'x' }
  refused(t, await phone.refresh(null, skipped), 400, 'DPOP_PROOF_MISSING', 'and no redirect')
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop' }])
})

t.test('a route can demand a bound session', async (t) => {
  const { phone } = await serve(t, {
    extend: (app) => {
      app.get('/safe', {
        preHandler: async (request) => { await request.authenticate({ bound: true }) }
      }, async () => ({}))
    }
  })
  await phone.login()
  t.equal((await phone.me('/safe')).statusCode, 200, 'from the login on')
  await phone.login({}, null)
  t.equal(code(await phone.me('/safe')), 'SESSION_UNBOUND')
})

t.test('the log says which URLs differ, and the client is not told', async (t) => {
  const lines: string[] = []
  const stream = { write: (line: string) => { lines.push(line) } }
  const { phone } = await serve(t, { server: { logger: { level: 'info', stream } } })
  const refusals = {
    '/login': async (dpop: string) => await phone.login({}, dpop),
    '/auth/refresh': async (dpop: string) => await phone.refresh(dpop)
  }
  await phone.login()
  for (const [path, send] of Object.entries(refusals)) {
    const htu = `https://api.example${path}`
    const response = await send(phone.prove('POST', path, { htu }))
    refused(t, response, 400, 'DPOP_PROOF_INVALID')
    t.notMatch(response.body, 'api.example')
    const reason = `for another target: ${htu} ` +
      `(this request is for http://localhost${path}): is trustProxy set?`
    const said = lines.map((line) => JSON.parse(line) as object)
    t.match(said.filter((line) => 'code' in line).at(-1), { code: 'DPOP_PROOF_INVALID', reason })
  }
  const secrets = [phone.refreshToken, phone.accessToken]
  for (const text of secrets) t.notMatch(lines.join(''), text)
})

t.test('a bound access token needs logins that may be bound', async (t) => {
  const register = async (options: object) => {
    const app = Fastify()
    t.teardown(async () => await app.close())
    const all = { secret, store: new MemoryStore(), ...options }
    return await app.register(authPlugin, all).then(() => undefined,
      (error: Error & { code?: string }) => `${error.code}: ${error.message}`)
  }
  const bound = { accessToken: { bound: true } }
  t.equal(await register(bound), 'INVALID_OPTION: The option accessToken.bound is true; ' +
    "allowed: nothing but false without 'dpop' in refreshToken.bindings")
  t.match(await register({ ...bound, refreshToken: { bindings: ['dbsc'] } }), 'INVALID_OPTION')
  const refreshToken = { bindings: ['dpop'] }
  t.equal(await register({ ...bound, refreshToken }), undefined)
  t.match(await register({ accessToken: { bound: true, cookie: true }, refreshToken }),
    /INVALID_OPTION: The option accessToken.cookie is given beside accessToken.bound/)
  t.match(await register({ accessToken: { bound: 1 } }), /accessToken.bound is 1; allowed: true/)
})

t.test('in cookie mode a guard asks for a proof by 401', async (t) => {
  const { app, phone, clock, holder } = await serve(t, { accessToken: { cookie: true } })
  await phone.login({}, phone.prove('POST', '/login'))
  const [session] = await app.sessions.list('ada')
  const login = await phone.login({ replace: true })
  const cookie = `__Host-refresh_token=${login.cookies.at(-1)?.value}`
  const get = async (dpop?: string) =>
    await app.inject({ url: '/me', headers: { cookie, ...dpop === undefined ? {} : { dpop } } })
  refused(t, await get(), 401, 'DPOP_PROOF_MISSING')
  refused(t, await get('x'), 401, 'DPOP_PROOF_INVALID')
  refused(t, await get(phone.prove('GET', '/me', { iat: 0 })), 401, 'DPOP_NONCE_REQUIRED')
  refused(t, await get(holder().prove('GET', '/me')), 401, 'REFRESH_TOKEN_UNPROVEN')
  clock.pass(second)
  t.equal((await get(phone.prove('GET', '/me'))).statusCode, 200, 'a fetch can bring one')
  t.ok(session)
})

t.test('a paired refresh wants the proof as well', async (t) => {
  const { phone } = await serve(t, { refreshToken: { paired: true } })
  await phone.login()
  const authorization = `Bearer ${phone.accessToken}`
  t.equal(code(await phone.refresh()), 'ACCESS_TOKEN_MISSING')
  refused(t, await phone.refresh(null, { authorization }), 400, 'DPOP_PROOF_MISSING')
  t.equal((await phone.refresh(undefined, { authorization })).statusCode, 200)
})

t.test('a form is refused as OAuth has it, and keeps its challenge', async (t) => {
  const { phone, holder } = await serve(t)
  phone.transport = 'body'
  await phone.login()
  const post = async (dpop: string | undefined, path = '/auth/refresh') => {
    const form = { grant_type: 'refresh_token', refresh_token: phone.refreshToken }
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    return await phone.post(path, new URLSearchParams(form).toString() as unknown as object,
      { ...type, ...dpop === undefined ? {} : { dpop } })
  }
  const bare = phone.prove('POST', '/auth/refresh', { nonce: undefined })
  for (const [dpop, error, code] of [
    [undefined, 'invalid_dpop_proof', 'DPOP_PROOF_MISSING'],
    ['x', 'invalid_dpop_proof', 'DPOP_PROOF_INVALID'],
    [bare, 'use_dpop_nonce', 'DPOP_NONCE_REQUIRED']
  ] as const) {
    const response = await post(dpop)
    t.match(response, { statusCode: 400, headers: { 'www-authenticate': challenges[code] } })
    t.match(response.json(), { error, error_description: String })
    t.equal(response.headers['dpop-nonce'] !== undefined, error === 'use_dpop_nonce')
  }
  const thief = holder(createDevice())
  thief.nonce = phone.nonce
  const unproven = await post(thief.prove('POST', '/auth/refresh'))
  t.match(unproven, { statusCode: 400, headers: { 'www-authenticate': undefined } })
  t.match(unproven.json(), { error: 'invalid_grant' })
  const good = await post(phone.prove('POST', '/auth/refresh'))
  t.match(good, { statusCode: 200, headers: { 'dpop-nonce': phone.nonce } })
  t.equal((await post(undefined, '/auth/logout')).statusCode, 200, 'revoking needs no proof')
})
