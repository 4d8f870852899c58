import t from 'tap'
import { authenticate, MemoryStore } from '../lib/index'
import { minute, peek, second } from './support/app'
import { code, onBoth, refused, serve as serveBound } from './support/dpop/serve'

type Setup = NonNullable<Parameters<typeof serveBound>[1]>

const bound = { accessToken: { bound: true } }
const serve = async (t: Parameters<typeof serveBound>[0], setup: Setup = {}) =>
  await serveBound(t, { ...setup, accessToken: { ...bound.accessToken, ...setup.accessToken } })
const challengeOf = ({ headers }: { headers: Record<string, unknown> }) =>
  headers['www-authenticate']

onBoth('a bound access token is presented as DPoP, with a proof for it', async (t, begin) => {
  const { phone } = await begin(bound)
  for (const step of [() => phone.login(), () => phone.refresh()]) {
    t.match((await step()).json(), { token_type: 'DPoP' })
    t.match(peek(phone.accessToken), { cnf: { jkt: phone.device.jkt }, bound: true })
    const me = await phone.me()
    t.match(me.json(), { user: { sub: 'ada', cnf: { jkt: phone.device.jkt } }, sid: String })
    t.match(me, { statusCode: 200, headers: { 'www-authenticate': undefined } })
  }
  await phone.login({}, null)
  t.equal(phone.tokenType, 'Bearer')
  t.match(peek(phone.accessToken), { cnf: undefined, bound: undefined })
  t.equal((await phone.me()).statusCode, 200, 'an unbound session is as it was')
})

t.test('a bound token as Bearer, and an unbound one as DPoP, are refused', async (t) => {
  const { phone, holder } = await serve(t)
  await phone.login()
  refused(t, await phone.me('/me', {}, 'Bearer'), 401, 'ACCESS_TOKEN_INVALID')
  const thief = holder()
  thief.accessToken = phone.accessToken
  refused(t, await thief.me('/me', {}, 'DPoP'), 401, 'ACCESS_TOKEN_INVALID', 'by another key')
  await phone.login({}, null)
  refused(t, await phone.me('/me', {}, 'DPoP'), 401, 'ACCESS_TOKEN_INVALID')
})

t.test('a proof at the guard is for this token, this route, this moment', async (t) => {
  const { app, phone, clock } = await serve(t)
  await phone.login()
  const { ath } = phone
  const get = async (dpop: string | undefined, url = '/me') => {
    const authorization = `DPoP ${phone.accessToken}`
    return await app.inject({
      url, headers: { authorization, ...dpop === undefined ? {} : { dpop } }
    })
  }
  refused(t, await get(undefined), 401, 'DPOP_PROOF_MISSING')
  refused(t, await get('x'), 401, 'DPOP_PROOF_INVALID')
  refused(t, await get(phone.prove('GET', '/me')), 401, 'DPOP_PROOF_INVALID', 'no ath')
  for (const wrong of [{ ath: 'x' }, { htm: 'POST' }, { htu: 'http://localhost/live' }]) {
    refused(t, await get(phone.prove('GET', '/me', { ath, ...wrong })), 401, 'DPOP_PROOF_INVALID')
  }
  clock.pass(minute)
  const late = phone.prove('GET', '/me', { ath, iat: (clock.ms - 6 * minute) / 1000 })
  const stale = await get(late)
  refused(t, stale, 401, 'DPOP_NONCE_REQUIRED')
  const nonce = String(stale.headers['dpop-nonce'])
  t.equal((await get(phone.prove('GET', '/me', { ath, iat: 0, nonce }))).statusCode, 200)
  const good = phone.prove('GET', '/me', { ath })
  t.equal((await get(good, '/me?query=1')).statusCode, 200)
  t.equal((await app.inject({
    method: 'HEAD',
    url: '/me',
    headers: {
      authorization: `dpop ${phone.accessToken}`, dpop: phone.prove('HEAD', '/me', { ath })
    }
  })).statusCode, 200, 'the scheme in any case')
})

t.test('a proof is accepted once, however many guards a request passes', async (t) => {
  const { app, phone } = await serve(t, {
    extend: (app) => {
      app.get('/thrice', { onRequest: [app.authenticate, authenticate] }, async (request) => {
        await request.authenticate({ live: true })
        return {}
      })
    }
  })
  await phone.login()
  const { ath } = phone
  const authorization = `DPoP ${phone.accessToken}`
  const dpop = phone.prove('GET', '/thrice', { ath })
  const get = async () => await app.inject({ url: '/thrice', headers: { authorization, dpop } })
  t.equal((await get()).statusCode, 200)
  refused(t, await get(), 401, 'DPOP_PROOF_INVALID', 'a replay')
  t.equal((await phone.me('/thrice')).statusCode, 200, 'another proof')
})

t.test('another process does not know which proofs were seen', async (t) => {
  const store = new MemoryStore()
  const now = { iat: Date.now() / 1000 }
  const one = await serve(t, { store })
  const two = await serve(t, { store })
  await one.phone.login({}, one.phone.prove('POST', '/login', now))
  const { ath, accessToken } = one.phone
  const headers = {
    authorization: `DPoP ${accessToken}`, dpop: one.phone.prove('GET', '/me', { ath, ...now })
  }
  t.equal((await one.app.inject({ url: '/me', headers })).statusCode, 200)
  t.equal((await two.app.inject({ url: '/me', headers })).statusCode, 200)
  refused(t, await two.app.inject({ url: '/me', headers }), 401, 'DPOP_PROOF_INVALID')
})

t.test('whatever is wrong, there is one challenge, by the scheme of the request', async (t) => {
  const { app, phone, clock } = await serve(t, {
    revocation: 'push',
    extend: (app) => {
      app.get('/recent', {
        preHandler: async (request) => { await request.authenticate({ maxAge: '1m' }) }
      }, async () => ({}))
    }
  })
  const get = async (authorization?: string) =>
    await app.inject({ url: '/me', headers: authorization === undefined ? {} : { authorization } })
  for (const authorization of [undefined, 'Basic YTpi']) {
    const response = await get(authorization)
    t.equal(code(response), 'ACCESS_TOKEN_MISSING')
    t.equal(challengeOf(response), 'Bearer, DPoP algs="ES256"')
  }
  for (const authorization of ['DPoP', 'DPoP ', 'DPoP a b', 'DPoP x', 'dpop\tx']) {
    refused(t, await get(authorization), 401, 'ACCESS_TOKEN_INVALID', authorization)
  }
  t.equal(challengeOf(await get('Bearer x')),
    'Bearer error="invalid_token", error_description="The access token is invalid"')
  await phone.login()
  clock.pass(2 * minute)
  t.equal(challengeOf(await phone.me('/recent')),
    'DPoP error="insufficient_user_authentication", ' +
    'error_description="A more recent login is required", max_age=60, algs="ES256"')
  clock.pass(30 * minute)
  refused(t, await phone.me(), 401, 'ACCESS_TOKEN_EXPIRED')
  await phone.refresh()
  await phone.logout()
  refused(t, await phone.me(), 401, 'SESSION_REVOKED')
})

t.test('with the option off DPoP is no scheme, and a bound token is no Bearer token', async (t) => {
  const store = new MemoryStore()
  const now = () => ({ iat: Date.now() / 1000 })
  const { phone } = await serve(t, { store })
  await phone.login({}, phone.prove('POST', '/login', now()))
  const { app, holder } = await serveBound(t, { store })
  const get = async (authorization: string) =>
    await app.inject({ url: '/me', headers: { authorization } })
  refused(t, await get(`Bearer ${phone.accessToken}`), 401, 'ACCESS_TOKEN_INVALID')
  const missing = await get(`DPoP ${phone.accessToken}`)
  t.equal(code(missing), 'ACCESS_TOKEN_MISSING')
  t.equal(challengeOf(missing), 'Bearer')
  const same = holder(phone.device)
  same.refreshToken = phone.refreshToken
  const refresh = await same.refresh(same.prove('POST', '/auth/refresh', now()))
  t.match(refresh.json(), { token_type: 'Bearer' }, 'which a refresh mends')
  t.equal((await same.me()).statusCode, 200)
})

t.test('a bound access token in the cookie of cookie mode is refused', async (t) => {
  const store = new MemoryStore()
  const { phone } = await serve(t, { store })
  await phone.login({}, phone.prove('POST', '/login', { iat: Date.now() / 1000 }))
  const { app } = await serveBound(t, { store, accessToken: { cookie: true } })
  const cookie = `__Host-access_token=${phone.accessToken}`
  t.equal(code(await app.inject({ url: '/me', headers: { cookie } })), 'ACCESS_TOKEN_INVALID')
})

t.test('all sessions end by a bound access token with its proof only', async (t) => {
  const { app, phone, holder } = await serve(t)
  await phone.login()
  const { ath, accessToken } = phone
  const all = async (scheme: string, dpop?: string) => {
    const authorization = `${scheme} ${accessToken}`
    const headers = { authorization, ...dpop === undefined ? {} : { dpop } }
    return await phone.post('/auth/logout', { all: true }, headers)
  }
  const path = '/auth/logout'
  refused(t, await all('Bearer'), 401, 'ACCESS_TOKEN_INVALID')
  refused(t, await all('DPoP'), 401, 'DPOP_PROOF_MISSING')
  refused(t, await all('DPoP', 'x'), 401, 'DPOP_PROOF_INVALID')
  refused(t, await all('DPoP', phone.prove('POST', path)), 401, 'DPOP_PROOF_INVALID')
  refused(t, await all('DPoP', holder().prove('POST', path, { ath })), 401, 'ACCESS_TOKEN_INVALID')
  t.equal((await app.sessions.list('ada')).length, 1)
  t.equal((await all('DPoP', phone.prove('POST', path, { ath }))).statusCode, 204)
  t.strictSame(await app.sessions.list('ada'), [])
})

t.test('a logout by a bound access token asks for no proof', async (t) => {
  const { app, phone } = await serve(t)
  for (const scheme of ['DPoP', 'Bearer']) {
    await phone.login()
    const authorization = `${scheme} ${phone.accessToken}`
    t.equal((await phone.post('/auth/logout', undefined, { authorization })).statusCode, 204)
    t.strictSame(await app.sessions.list('ada'), [])
  }
})

t.test('a paired refresh takes one proof for both tokens', async (t) => {
  const { phone, clock, app } = await serve(t, { refreshToken: { paired: true } })
  await phone.login()
  clock.pass(31 * minute)
  const { ath } = phone
  const authorization = `DPoP ${phone.accessToken}`
  refused(t, await phone.refresh(undefined, { authorization }), 400, 'DPOP_PROOF_INVALID')
  const path = '/auth/refresh'
  const response = await phone.refresh(phone.prove('POST', path, { ath }), { authorization })
  t.equal(response.statusCode, 200, 'the access token has expired, the proof has not')
  t.equal(code(await phone.refresh()), 'ACCESS_TOKEN_MISSING')
  const all = { all: true }
  const cookie = `__Host-refresh_token=${phone.refreshToken}`
  const living = { authorization: `DPoP ${phone.accessToken}`, cookie }
  const logout = '/auth/logout'
  const bare = { ...living, dpop: phone.prove('POST', logout) }
  refused(t, await phone.post(logout, all, bare), 401, 'DPOP_PROOF_INVALID')
  const proven = { ...living, dpop: phone.prove('POST', logout, { ath: phone.ath }) }
  t.equal((await phone.post(logout, all, proven)).statusCode, 204)
  t.strictSame(await app.sessions.list('ada'), [])
})

t.test('a guard of the whole application leaves the plugin to its own proofs', async (t) => {
  const { phone } = await serve(t, {
    routes: {
      refresh: { onRequest: async (request) => { await request.server.authenticate(request) } }
    }
  })
  await phone.login()
  const { refreshToken, ath } = phone
  const headers = { authorization: `DPoP ${phone.accessToken}` }
  const proof = phone.prove('POST', '/auth/refresh', { ath })
  for (let i = 0; i < 3; i++) {
    phone.refreshToken = refreshToken
    t.equal((await phone.refresh(proof, headers)).statusCode, 200, 'a repeat is no replay there')
  }
})

t.test('a refusal keeps its challenge and nonce whatever error handler there is', async (t) => {
  const { phone, clock } = await serve(t, {
    extend: (app) => {
      app.setErrorHandler(async (_error, _request, reply) => await reply.code(401).send({}))
      app.get('/mine', { onRequest: app.authenticate }, async () => ({}))
    }
  })
  await phone.login()
  const { headers } = await phone.me('/mine', { iat: clock.ms / 1000 - 3600 })
  t.match(headers, { 'www-authenticate': /^DPoP error="use_dpop_nonce"/, 'dpop-nonce': String })
  clock.pass(second)
  t.equal((await phone.me('/mine')).statusCode, 200)
})
