import { generateKeyPairSync } from 'node:crypto'
import fastifyRateLimit from '@fastify/rate-limit'
import fc from 'fast-check'
import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import { toIdentifier } from '../lib/binding/dbsc/session-identifier'
import authPlugin, {
  MemoryStore, type AuthPluginOptions, type Session, type Store
} from '../lib/index'
import { build, minute, peek, second, secret, TestClock } from './support/app'
import { BindingBrowser } from './support/dbsc/browser'
import { Device } from './support/dbsc/device'
import { observe } from './support/events'
import { redisFor } from './support/servers/redis'

type Test = InstanceType<typeof import('tap').Test>
type Setup = Parameters<typeof build>[1] & { refreshToken?: AuthPluginOptions['refreshToken'] }

const both: ['cookie', 'body'] = ['cookie', 'body']
const proofCookie = '__Host-refresh_proof'
const tokenCookie = '__Host-refresh_token'
const noChallenge = '();path="/auth/device";challenge=""'
const unproven = 'REFRESH_TOKEN_UNPROVEN'

/** An application that binds sessions, and a browser. */
async function serve (t: Test, { refreshToken, ...setup }: Setup = {}) {
  const options = { refreshToken: { bindings: ['dbsc'], ...refreshToken }, ...setup } as Setup
  const built = await build(t, options)
  return { ...built, browser: new BindingBrowser(built.app) }
}

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

const code = (response: { json: () => unknown }) => (response.json() as { code: string }).code
const accessToken = (response: { json: () => unknown }) =>
  (response.json() as { access_token: string }).access_token
const cookieOf = ({ cookies }: BindingBrowser) =>
  [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
const sorted = (browser: BindingBrowser) => [...browser.cookies.keys()].sort()

t.test('a login by cookie offers to bind its session', async (t) => {
  const { app, login, browser } = await serve(t, { refreshToken: { transports: both } })
  const header = 'secure-session-registration'
  const { response } = await login()
  const offered = /^\(ES256 RS256\);path="\/auth\/device";challenge="([\w.-]+)"$/
  t.match(response.headers[header], offered)
  const [, challenge = ''] = offered.exec(String(response.headers[header])) ?? []
  const { sid } = peek(accessToken(response))
  t.match(peek(challenge), { sid })
  t.notOk(response.headers['set-cookie']?.includes(challenge), 'it is in no cookie')
  const byBody = await login({ sub: 'ada' }, { transport: 'body' })
  t.equal(byBody.response.headers[header], undefined, 'a refresh token in a body has no browser')
  await browser.login()
  t.equal((await browser.refresh()).headers[header], undefined, 'only a login does')
  const off = await build(t)
  t.equal((await off.login()).response.headers[header], undefined)
  t.equal((await off.app.inject({ method: 'POST', url: '/auth/device' })).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url: '/auth/device' })).statusCode, 401)
})

for (const algorithm of ['ES256', 'RS256'] as const) {
  t.test(`a browser proves the ${algorithm} key of its session before each refresh`, async (t) => {
    const { app, clock } = await serve(t)
    const events = observe(t)
    const browser = new BindingBrowser(app, new Device(algorithm))
    const login = await browser.login()
    t.equal(peek(accessToken(login)).bound, undefined, 'the token of the login is not bound yet')
    t.match(await app.sessions.list('ada'), [{ bound: null, generation: 1 }])

    const registered = await browser.register()
    const { sid } = peek(accessToken(login)) as { sid: string }
    t.equal(registered.headers['cache-control'], 'no-store')
    t.strictSame(registered.json(), {
      session_identifier: toIdentifier({ sid, jwk: browser.device.jwk }),
      refresh_url: '/auth/device',
      scope: {
        include_site: false,
        scope_specification: [
          { type: 'exclude', path: '/' }, { type: 'include', path: '/auth/refresh' }
        ]
      },
      credentials: [{
        type: 'cookie', name: proofCookie, attributes: 'Path=/; HttpOnly; Secure; SameSite=Strict'
      }]
    })
    t.match(await app.sessions.list('ada'), [{ sid, bound: 'dbsc', generation: 1 }])
    t.strictSame(registered.cookies, [], 'registering changes no cookie')

    for (let generation = 2; generation < 14; generation++) {
      clock.pass(25 * minute)
      browser.trace.length = 0
      const response = await browser.refresh()
      t.equal(response.statusCode, 200)
      t.match(peek(accessToken(response)), { sid, bound: true })
      t.match(await app.sessions.list('ada'), [{ bound: 'dbsc', generation }])
      t.strictSame(browser.trace, [
        '/auth/device 403', '/auth/device 200', '/auth/refresh 200'
      ], 'a challenge of ten minutes, a proof, and the refresh')
      t.strictSame(sorted(browser), [tokenCookie], 'the proof is taken away')
    }
    const names = events().map(([name]) => name)
    t.strictSame(names, ['login', 'bind', ...Array(12).fill('refresh')])
    t.match(events()[1], ['bind', { sid, sub: 'ada', generation: 1 }])
  })
}

t.test('twelve refreshes in ten minutes take one signature', async (t) => {
  const { browser, clock } = await serve(t)
  await browser.bind()
  browser.signatures = 0
  for (let i = 0; i < 12; i++) {
    clock.pass(49 * second)
    browser.trace.length = 0
    t.equal((await browser.refresh()).statusCode, 200)
    t.strictSame(browser.trace, ['/auth/device 200', '/auth/refresh 200'])
  }
  t.equal(browser.signatures, 1)
})

t.test('the proof cookie is the refresh cookie\'s twin, for the browser\'s session', async (t) => {
  const cookie = { path: '/auth', sameSite: 'lax' } as const
  const { browser } = await serve(t, { refreshToken: { cookie } })
  const login = await browser.bind()
  const proven = await browser.prove()
  t.equal(proven.body, '')
  t.equal(proven.headers['cache-control'], 'no-store')
  const { value: _, maxAge, expires: __, ...others } = login.cookies[0] ?? { value: '' }
  t.ok(maxAge)
  t.match(proven.cookies, [{ ...others, name: '__Secure-refresh_proof', maxAge: undefined }])
  t.strictSame(peek(proven.cookies[0]?.value ?? '', 0).typ, 'dbsc-proof+jwt')
})

t.test('a copy of the cookies is worth nothing, and changes nothing', async (t) => {
  const { app, browser, clock } = await serve(t)
  const events = observe(t)
  await browser.bind()
  await browser.refresh()
  const old = browser.thief()
  clock.pass(minute)
  await browser.refresh()
  for (const [thief, distance] of [[browser.thief(), 0], [old, 1]] as const) {
    const before = await app.sessions.list('ada')
    events().length = 0
    const response = await thief.refresh()
    t.match(response, { statusCode: 401, headers: { 'set-cookie': undefined } })
    t.equal(code(response), unproven)
    t.strictSame(thief.trace, ['/auth/refresh 307', '/auth/refresh?proof 401'])
    t.strictSame(await app.sessions.list('ada'), before)
    const event = { sid: before[0]?.sid, sub: 'ada', generation: 3, distance }
    t.strictSame(events(), [
      ['unproven', { ...event, redirected: true }], ['unproven', { ...event, redirected: false }]
    ], 'which comes before reuse')
  }
  clock.pass(minute)
  t.equal((await browser.refresh()).statusCode, 200, 'the owner goes on')
})

t.test('a thief who proves a key of his own gets nothing', async (t) => {
  const { app, browser } = await serve(t)
  await browser.bind()
  const thief = browser.thief()
  const { sid } = (await app.sessions.list('ada'))[0] ?? { sid: '' }
  const identifier = toIdentifier({ sid, jwk: thief.device.jwk })
  thief.session = { ...browser.session, session_identifier: identifier } as typeof browser.session
  t.equal((await thief.prove()).statusCode, 200, 'nobody has vouched for the key yet')
  t.ok(thief.cookies.has(proofCookie))
  t.equal(code(await thief.refresh()), unproven)
  t.strictSame(thief.trace.slice(-3), [
    '/auth/refresh 307', '/auth/device 200', '/auth/refresh?proof 401'
  ])
  t.match(await app.sessions.list('ada'), [{ generation: 1 }])
  t.equal((await browser.refresh()).statusCode, 200)
})

t.test('a session is bound by the challenge of its own login only, and once', async (t) => {
  const { app, browser, clock } = await serve(t)
  const register = async (by: BindingBrowser, offer = by.offer) => {
    const response = await by.register(offer)
    return response.statusCode === 200 ? 200 : code(response)
  }
  await browser.login()
  const thief = browser.thief()
  const other = new BindingBrowser(app)
  await other.login({ sub: 'eve' })
  t.equal(await register(thief, other.offer), unproven, 'the challenge of another login')
  t.equal(await register(thief, noChallenge), unproven, 'none')
  const device = '/auth/device'
  t.equal(code(await thief.post(device)), unproven, 'no response at all')
  t.equal(code(await thief.post(device, { 'secure-session-response': 'x' })), unproven)
  t.equal(await register(other, browser.offer), unproven, 'without the refresh token')
  const nobody = new BindingBrowser(app)
  t.equal(await register(nobody, browser.offer), 'REFRESH_TOKEN_MISSING')
  nobody.cookies.set(tokenCookie, 'x')
  t.equal(await register(nobody, browser.offer), 'REFRESH_TOKEN_INVALID')
  const foreign = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
  t.equal(code(await browser.post(device, foreign)), 'CROSS_ORIGIN_REQUEST')
  t.match(await app.sessions.list('ada'), [{ bound: null }])

  const events = observe(t)
  t.equal(await register(browser), 200)
  t.equal(await register(browser), 200, 'a browser sends it again where the connection broke')
  t.equal(await register(thief, browser.offer), unproven, 'another key')
  t.equal((await browser.refresh()).statusCode, 200)
  t.equal(await register(browser), 200, 'while a refresh is in flight')
  t.strictSame(events().map(([name]) => name), ['bind', 'refresh'], 'and binds once')
  t.equal(await register(browser.thief(), browser.offer), unproven, 'another key')

  await browser.login({ sub: 'bob' })
  clock.pass(5 * minute)
  t.equal(await register(browser), unproven, 'five minutes after the login')
  t.match(await app.sessions.list('bob'), [{ bound: null }])
  await app.sessions.revokeAll('eve')
  await other.login({ sub: 'eve' })
  await app.sessions.revokeAll('eve')
  t.equal(await register(other), 'REFRESH_TOKEN_INVALID', 'its session has ended')
  await browser.login({ sub: 'carol' })
  clock.pass(15 * 24 * 60 * minute)
  t.equal(await register(browser), 'REFRESH_TOKEN_EXPIRED')
})

t.test('only a rotation takes a proof away', async (t) => {
  const { browser, app } = await serve(t)
  await browser.bind()
  await browser.prove()
  const cookie = cookieOf(browser)
  const send = async (url = '/auth/refresh') =>
    await app.inject({ method: 'POST', url, headers: { cookie } })
  const names = (response: Awaited<ReturnType<typeof send>>) =>
    response.cookies.map(({ name, maxAge }) => `${name}${maxAge === 0 ? ' cleared' : ''}`)
  const all = await Promise.all(Array.from({ length: 10 }, async () => await send()))
  t.strictSame(all.map(({ statusCode }) => statusCode), Array(10).fill(200))
  t.strictSame(all.map(names).sort((a, b) => b.length - a.length), [
    [`${proofCookie} cleared`, tokenCookie], ...Array(9).fill([tokenCookie])
  ])
  const tokens = new Set(all.map(({ cookies }) => cookies.at(-1)?.value))
  t.equal(tokens.size, 1, 'and all get the same refresh token')
  t.strictSame(names(await send()), [tokenCookie], 'a repeat later on')
})

t.test('a proof is for one generation, for half a minute', async (t) => {
  const { browser, clock } = await serve(t)
  await browser.bind()
  await browser.prove()
  const spent = browser.cookies.get(proofCookie) ?? ''
  await browser.refresh()
  clock.pass(second)
  browser.cookies.set(proofCookie, spent)
  browser.trace.length = 0
  t.equal((await browser.refresh()).statusCode, 200)
  t.strictSame(browser.trace, [
    '/auth/refresh 307', '/auth/device 200', '/auth/refresh?proof 200'
  ], 'the redirect takes a spent proof away, and the browser proves anew')

  await browser.prove()
  clock.pass(31 * second)
  browser.trace.length = 0
  t.equal((await browser.refresh()).statusCode, 200)
  t.equal(browser.trace[0], '/auth/refresh 307', 'an old one as well')
})

t.test('a redirect is to the same route, once', async (t) => {
  const { browser } = await serve(t)
  await browser.bind()
  const thief = browser.thief()
  const begun = performance.now()
  const first = await thief.post('/auth/refresh?a=1')
  t.ok(performance.now() - begun >= 199, 'a browser that registers just now gets the time for it')
  t.match(first, {
    statusCode: 307,
    body: '',
    headers: { location: '?proof', 'cache-control': 'no-store' },
    cookies: [{ name: proofCookie, value: '', maxAge: 0, path: '/', secure: true }]
  })
  for (const query of ['?proof', '?proof=', '?a=1&proof&b']) {
    t.equal((await thief.post(`/auth/refresh${query}`)).statusCode, 401, query)
  }
  t.equal((await thief.post('/auth/refresh?proofs=1')).statusCode, 307)
  thief.cookies.set(proofCookie, 'x')
  const again = performance.now()
  t.equal((await thief.post('/auth/refresh')).statusCode, 307)
  t.ok(performance.now() - again < 199, 'a browser that had a proof knows that it is bound')
})

t.test('a refresh that left before the browser knew of its binding is let in', async (t) => {
  const { browser, app } = await serve(t)
  await browser.login()
  const refresh = browser.refresh()
  const registration = browser.register()
  t.equal((await refresh).statusCode, 200)
  t.equal((await registration).statusCode, 200)
  t.match(await app.sessions.list('ada'), [{ bound: 'dbsc', generation: 2 }])
})

t.test('a browser that cannot prove its key just now is told to come again', async (t) => {
  const { browser, app } = await serve(t)
  const events = observe(t)
  await browser.bind()
  const before = await app.sessions.list('ada')
  browser.trouble = 'quota_exceeded'
  events().length = 0
  for (const path of ['/auth/refresh', '/auth/refresh?proof']) {
    const response = await browser.post(path, { 'secure-session-skipped': 'quota_exceeded' })
    t.match(response, { statusCode: 503, headers: { 'retry-after': '5', 'set-cookie': undefined } })
    t.equal(code(response), 'PROOF_UNAVAILABLE')
  }
  t.match(events(), [['unproven', { redirected: false }], ['unproven', { redirected: false }]])
  t.strictSame(await app.sessions.list('ada'), before)
  browser.trouble = undefined
  await browser.prove()
  const proven = await browser.post('/auth/refresh', { 'secure-session-skipped': 'server_error' })
  t.equal(proven.statusCode, 200, 'a proof is a proof, whatever else the browser says')
})

t.test('a proof is answered 200, 403 with a challenge, or told to end', async (t) => {
  const { browser, app, clock } = await serve(t)
  await browser.bind()
  const { session_identifier: id = '' } = browser.session ?? {}
  const other = new BindingBrowser(app)
  await other.bind({ sub: 'eve' })
  const { session_identifier: others = '' } = other.session ?? {}
  const prove = async (id: string, response?: string, headers = {}) =>
    await browser.post('/auth/device', {
      'sec-secure-session-id': id,
      ...(response === undefined ? {} : { 'secure-session-response': response }),
      ...headers
    })
  const challenged = async (answer: ReturnType<typeof prove>, name: string) => {
    const { statusCode, headers, body, cookies } = await answer
    t.strictSame([statusCode, body, cookies], [403, '', []], name)
    const header = String(headers['secure-session-challenge'])
    const [, challenge = '', named] = /^"(.*?)";id="(.*?)"$/.exec(header) ?? []
    t.equal(named, id)
    return challenge
  }
  const challenge = await challenged(prove(id), 'no response')
  await challenged(prove(id, 'x'), 'a malformed one')
  await challenged(prove(id, browser.device.prove('x')), 'a challenge of nobody')
  await challenged(prove(id, new Device().prove(challenge)), 'another key')
  const good = browser.device.prove(challenge)
  for (const site of ['cross-site', 'same-site']) {
    await challenged(prove(id, good, { 'sec-fetch-site': site }), site)
  }
  t.equal((await prove(id, good)).statusCode, 200)
  t.equal((await prove(`"${id}"`, `"${good}"`)).statusCode, 200, 'in quotation marks')
  clock.pass(10 * minute)
  await challenged(prove(id, good), 'ten minutes old')

  for (const foreign of [others, 'x', `${id}x`]) {
    const answer = await prove(foreign, good)
    t.equal(answer.statusCode, 200)
    t.strictSame(answer.json(), { session_identifier: foreign, continue: false })
    t.strictSame(answer.cookies, [])
  }
})

t.test('a logout needs no proof, and the browser forgets its session afterwards', async (t) => {
  const { browser, app } = await serve(t)
  await browser.bind()
  t.equal((await browser.post('/auth/logout')).statusCode, 204)
  t.strictSame(await app.sessions.list('ada'), [])
  browser.trace.length = 0
  t.equal(code(await browser.refresh()), 'REFRESH_TOKEN_MISSING')
  t.strictSame(browser.trace, ['/auth/device 200', '/auth/refresh 401'])
  t.equal(browser.session, undefined, 'it was told so')

  await browser.bind()
  const stolen = browser.thief()
  await app.sessions.revokeAll('ada')
  t.equal(code(await stolen.refresh()), 'REFRESH_TOKEN_INVALID', 'what has ended asks for no proof')
  t.equal(code(await browser.refresh()), 'REFRESH_TOKEN_INVALID')
  t.strictSame(browser.trace.slice(-2), ['/auth/device 200', '/auth/refresh 401'])
})

t.test('all sessions end by a bound refresh token with its proof only', async (t) => {
  const { browser, app } = await serve(t)
  const events = observe(t)
  await browser.bind()
  await app.sessions.open({ sub: 'ada' })
  const logout = async (headers: Record<string, string>) =>
    await app.inject({ method: 'POST', url: '/auth/logout', headers, payload: { all: true } })
  const cookie = () => cookieOf(browser)
  t.match(await logout({ cookie: cookie() }), { statusCode: 401 })
  t.equal(code(await logout({ cookie: cookie() })), unproven)
  t.match(events().slice(-1), [['unproven', { sub: 'ada', redirected: false }]])
  t.equal((await app.sessions.list('ada')).length, 2)
  await browser.prove()
  t.equal((await logout({ cookie: cookie() })).statusCode, 204)
  t.strictSame(await app.sessions.list('ada'), [])

  const again = await browser.bind()
  const authorization = `Bearer ${accessToken(again)}`
  t.equal((await logout({ cookie: cookie(), authorization })).statusCode, 204)
  t.strictSame(await app.sessions.list('ada'), [], 'or by a living access token')
})

t.test('a login over a login is bound by itself', async (t) => {
  const { browser, app } = await serve(t)
  await browser.bind()
  await browser.prove()
  const first = browser.session
  await browser.login()
  t.ok(browser.cookies.has(proofCookie), 'the proof of the session before is left over')
  browser.session = first
  t.equal((await browser.prove()).json<{ continue: boolean }>().continue, false)
  t.equal((await browser.register()).statusCode, 200)
  t.equal((await browser.refresh()).statusCode, 200)
  t.strictSame(browser.trace.slice(-3), [
    '/auth/refresh 307', '/auth/device 200', '/auth/refresh?proof 200'
  ])
  t.match(await app.sessions.list('ada'), [{ bound: 'dbsc', generation: 2 }])
})

t.test('a browser that binds nothing, and a body, are as they were', async (t) => {
  const { app, browser, login, me } = await serve(t, { refreshToken: { transports: both } })
  await browser.login()
  t.equal((await browser.refresh()).statusCode, 200)
  browser.cookies.set(proofCookie, 'x')
  const refreshed = await browser.refresh()
  t.equal(refreshed.statusCode, 200, 'a proof that nobody asks for')
  t.equal(peek(accessToken(refreshed)).bound, undefined)
  const { body } = await login({ sub: 'bob' }, { transport: 'body' })
  const payload = { refresh_token: body.refresh_token }
  const byBody = await app.inject({ method: 'POST', url: '/auth/refresh', payload })
  t.equal(byBody.statusCode, 200)
  t.match(await app.sessions.list('bob'), [{ bound: null }])
  t.equal((await me({ authorization: `Bearer ${accessToken(byBody)}` })).statusCode, 200)
})

t.test('a route can demand a bound session', async (t) => {
  const { app, browser } = await serve(t, {
    extend: (app) => {
      const onRequest = async (request: FastifyRequest) => {
        await request.authenticate({ bound: true })
      }
      app.get('/bound', { onRequest }, async ({ sid }) => ({ sid }))
    }
  })
  const ask = async (response: Awaited<ReturnType<typeof browser.login>>) => {
    const authorization = `Bearer ${accessToken(response)}`
    return await app.inject({ url: '/bound', headers: { authorization } })
  }
  const refused = await ask(await browser.bind())
  t.equal(refused.statusCode, 401)
  t.equal(code(refused), 'SESSION_UNBOUND')
  t.match(refused.headers['www-authenticate'], /error="insufficient_user_authentication"/)
  t.equal((await ask(await browser.refresh())).statusCode, 200, 'a refresh brings a bound one')
})

t.test('proving asks no store, binding and refreshing once', async (t) => {
  const { store, steps } = counting(new MemoryStore(new TestClock()))
  const { browser } = await serve(t, { store })
  const of = async (step: () => Promise<unknown>) => {
    steps.length = 0
    await step()
    return [...steps]
  }
  await browser.login()
  t.strictSame(await of(() => browser.register()), ['bind'])
  t.strictSame(await of(() => browser.prove()), [])
  t.strictSame(await of(() => browser.refresh()), ['rotate'])
  const thief = browser.thief()
  t.strictSame(await of(() => thief.post('/auth/refresh?proof')), ['rotate'])
  const { session_identifier: id = '' } = browser.session ?? {}
  t.strictSame(await of(() => browser.post('/auth/device', { 'sec-secure-session-id': id })), [])
  t.strictSame(await of(() => thief.register(noChallenge)), [])
})

t.test('while the time of the store is not known, a proof is a proof', async (t) => {
  const store = new Proxy(new MemoryStore(), {
    get: (target, name) => {
      const value = target[name as keyof typeof target] as unknown
      if (name === 'now') return () => undefined
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
  const { browser } = await serve(t, { store })
  await browser.bind()
  t.equal((await browser.refresh()).statusCode, 200)
  t.strictSame(browser.trace.slice(-2), ['/auth/device 200', '/auth/refresh 200'])
})

t.test('while the store is down, a proof is a proof, and nothing else changes', async (t) => {
  const memory = new MemoryStore(new TestClock())
  let isDown = false
  const store = new Proxy(memory, {
    get: (target, name) => {
      const value = target[name as keyof typeof target] as unknown
      if (typeof value !== 'function' || name === 'now') return value
      return async (...args: unknown[]) => {
        if (isDown) throw new Error('down')
        return await value.apply(target, args)
      }
    }
  })
  const { browser } = await serve(t, { store })
  await browser.login()
  isDown = true
  t.equal(code(await browser.register()), 'STORE_UNAVAILABLE')
  isDown = false
  t.equal((await browser.register()).statusCode, 200, 'as a browser does that was answered 5xx')
  isDown = true
  t.equal((await browser.refresh()).statusCode, 503)
  t.ok(browser.cookies.has(proofCookie))
  isDown = false
  t.equal((await browser.refresh()).statusCode, 200)
})

t.test('the claims hook hears of no unproven refresh', async (t) => {
  let calls = 0
  const claims = (session: Session) => {
    calls++
    return { kind: session.bound }
  }
  const { browser } = await serve(t, { claims })
  await browser.bind()
  t.equal(code(await browser.thief().refresh()), unproven)
  t.equal(calls, 0)
  t.match(peek(accessToken(await browser.refresh())), { kind: 'dbsc', bound: true })
  t.equal(calls, 1)
})

t.test('a paired refresh wants the proof as well', async (t) => {
  const { browser } = await serve(t, { refreshToken: { paired: true } })
  const authorization = `Bearer ${accessToken(await browser.bind())}`
  t.equal(code(await browser.thief().refresh({ authorization })), unproven)
  t.equal(code(await browser.refresh()), 'ACCESS_TOKEN_MISSING')
  t.equal((await browser.refresh({ authorization })).statusCode, 200)
})

t.test('a token that is spent on use is bound all the same', async (t) => {
  const { browser, clock } = await serve(t, { refreshToken: { spentOn: 'use' } })
  await browser.bind()
  for (let i = 0; i < 5; i++) {
    t.equal(code(await browser.thief().refresh()), unproven)
    t.equal((await browser.refresh()).statusCode, 200)
    clock.pass(25 * minute)
  }
})

t.test('a session stays bound when the option is off again', async (t) => {
  const store = new MemoryStore(new TestClock())
  const { browser } = await serve(t, { store })
  await browser.bind()
  await browser.refresh()
  const off = await build(t, { store })
  const events = observe(t)
  const refused = await off.refresh({ cookie: cookieOf(browser) })
  t.match(refused, { statusCode: 401, headers: { location: undefined } })
  t.equal(code(refused), unproven)
  t.match(events(), [['unproven', { redirected: false }]])
  t.equal((await browser.refresh()).statusCode, 200)
})

t.test('while a ring changes, any node takes what any other has given', async (t) => {
  const store = new MemoryStore(new TestClock())
  const fresh = 'another secret of thirty-two bytes or more'
  // Its private key is elsewhere: it derives nothing.
  const foreign = { public: generateKeyPairSync('ed25519').publicKey }
  const node = async (secrets: string[]) =>
    (await serve(t, { store, secret: [...secrets, foreign] })).app
  const nodes = [await node([secret, fresh]), await node([fresh, secret])] as const
  let turn = 0
  const either = {
    inject: async (request: object) => await nodes[turn++ % 2]?.inject(request)
  }
  const browser = new BindingBrowser(either as never)
  for (const skip of [0, 1, 0, 1]) {
    turn += skip
    await browser.bind()
    for (let i = 0; i < 5; i++) {
      t.equal((await browser.refresh()).statusCode, 200)
      turn += i % 3
    }
  }
})

t.test('the route has no rate limit, unless it is given one', async (t) => {
  for (const limit of [undefined, { max: 1, timeWindow: 60_000 }]) {
    const app = Fastify()
    t.teardown(async () => await app.close())
    await app.register(fastifyRateLimit, { max: 4, timeWindow: 60_000 })
    await app.register(authPlugin, {
      secret,
      store: new MemoryStore(),
      refreshToken: { bindings: ['dbsc'] },
      routes: { device: limit === undefined ? {} : { config: { rateLimit: limit } } }
    })
    app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
    const browser = new BindingBrowser(app)
    await browser.bind()
    for (let i = 0; i < 8; i++) {
      const { statusCode } = await browser.post('/auth/device', {
        'sec-secure-session-id': browser.session?.session_identifier ?? ''
      })
      t.equal(statusCode, limit === undefined ? 403 : 429)
    }
  }
})

t.test('paths are whole where the plugin stands under a prefix', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(async (scope) => {
    await scope.register(authPlugin, {
      secret,
      store: new MemoryStore(),
      prefix: '/session',
      trustedOrigins: ['https://app.example.com', /https:\/\/[a-z]+\.example\.com/],
      refreshToken: { bindings: ['dbsc'], cookie: { name: 'mine' } }
    })
    scope.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  }, { prefix: '/api' })
  const login = await app.inject({ method: 'POST', url: '/api/login' })
  t.match(login.headers['secure-session-registration'], /;path="\/api\/session\/device";/)
  const browser = new BindingBrowser(app)
  browser.cookies.set('mine', login.cookies[0]?.value ?? '')
  await browser.register(String(login.headers['secure-session-registration']))
  t.match(browser.session, {
    refresh_url: '/api/session/device',
    scope: { scope_specification: [{}, { type: 'include', path: '/api/session/refresh' }] },
    credentials: [{
      name: 'mine_proof', attributes: 'Path=/api; HttpOnly; Secure; SameSite=Strict'
    }],
    allowed_refresh_initiators: ['app.example.com']
  })
})

t.test('what would bind nothing silently is a wrong option', async (t) => {
  type Options = Partial<AuthPluginOptions>
  const register = async (options: Options, prefix = '') => {
    const app = Fastify()
    t.teardown(async () => await app.close())
    await app.register(async (scope) => {
      await scope.register(authPlugin, { secret, store: new MemoryStore(), ...options })
    }, { prefix })
  }
  const withDbsc = (refreshToken: object, options: object = {}) =>
    ({ refreshToken: { bindings: ['dbsc'], ...refreshToken }, ...options }) as Options
  const unable = Object.create(new MemoryStore(), { bind: { value: undefined } }) as Store
  const root = { cookie: { path: '/' } }
  const wrong: Array<[RegExp, Options, string?]> = [
    [/bindings is "dbsc"; allowed: 'dbsc', 'dpop' or both/, withDbsc({ bindings: 'dbsc' })],
    [/bindings is \["x"\]/, withDbsc({ bindings: ['x'] })],
    [/bindings is \["dbsc", "dbsc"\]/, withDbsc({ bindings: ['dbsc', 'dbsc'] })],
    [/routes\.device is given; allowed: nothing without 'dbsc'/, { routes: { device: {} } }],
    [/routes\.device is false/, withDbsc({}, { routes: { device: false } })],
    [/routes\.refresh is false/, withDbsc({}, { routes: { refresh: false } })],
    [/transports is \["body"\]; allowed: 'cookie' among them/, withDbsc({ transports: ['body'] })],
    [/cookie\.domain is "example\.com"/, withDbsc({ cookie: { domain: 'example.com' } })],
    [/cookie\.partitioned is true/, withDbsc({ cookie: { partitioned: true } })],
    [/cookie\.secure is false/, withDbsc({ cookie: { secure: false } })],
    [/cookie\.path is "\/auth\/refresh"; allowed: a path that reaches \/auth\/device/,
      withDbsc({ cookie: { path: '/auth/refresh' } })],
    [/cookie\.path is "\/au"/, withDbsc({ cookie: { path: '/au' } })],
    [/store is a store that has no bind/, withDbsc({}, { store: unable })],
    [/prefix is "\/:tenant\/auth", which has parameters/, withDbsc(root), '/:tenant']
  ]
  for (const [message, options, prefix] of wrong) {
    await t.rejects(register(options, prefix), { code: 'INVALID_OPTION', message }, String(message))
  }
  for (const path of ['/', '/auth', '/auth/', '/auth/device']) {
    await t.resolves(register(withDbsc({ cookie: { path } })), path)
  }
  await t.resolves(register(withDbsc({ bindings: [], cookie: { secure: false } })))
})

t.test('whatever is sent to the route, it binds nothing and changes nothing', async (t) => {
  const { app, browser } = await serve(t)
  const bound = new BindingBrowser(app)
  await bound.bind({ sub: 'bob' })
  await browser.login()
  const { device } = browser
  const [, challenge = ''] = /challenge="(.*?)"/.exec(browser.offer ?? '') ?? []
  const { session_identifier: id = '' } = bound.session ?? {}
  const identifier = fc.oneof(
    fc.constantFrom(id, `"${id}"`, id.slice(1), id.replace('.', '..')),
    fc.string(), fc.base64String()
  )
  const response = fc.oneof(
    fc.constantFrom(
      device.prove(challenge), new Device().register(challenge).slice(0, -4) + 'AAAA',
      device.sign({ jwk: { ...device.jwk, d: 'x' } }, { jti: challenge }),
      device.sign({ jwk: null, typ: 'JWT' }, { jti: challenge }), challenge, 'a.b.c'
    ),
    fc.jsonValue().map((value) => device.sign({ jwk: value }, { jti: challenge })),
    fc.jsonValue().map((value) => device.sign({ jwk: device.jwk }, { jti: value })),
    fc.string()
  )
  const cookie = fc.oneof(
    fc.constantFrom(cookieOf(browser), cookieOf(bound), `${cookieOf(bound)}; ${cookieOf(browser)}`),
    fc.string()
  )
  const payload = fc.oneof(fc.constant(undefined), fc.constant(undefined), fc.string(), fc.object())
  const headers = fc.record({
    'sec-secure-session-id': identifier,
    'secure-session-response': response,
    cookie,
    'content-type': fc.constantFrom('application/json', 'text/plain'),
    origin: fc.constantFrom('null', 'https://localhost', 'https://evil.example')
  }, { requiredKeys: [] })
  const before = [await app.sessions.list('ada'), await app.sessions.list('bob')]
  await fc.assert(fc.asyncProperty(headers, payload, async (headers, payload) => {
    const sent = Object.fromEntries(Object.entries(headers)
      .map(([name, value]) => [name, value.replace(/[^\t\x20-\x7e]/g, '')]))
    const { statusCode, cookies } = await app.inject({
      method: 'POST', url: '/auth/device', headers: sent, payload
    })
    return statusCode < 500 && cookies.length === 0
  }), { numRuns: 3000 })
  t.strictSame([await app.sessions.list('ada'), await app.sessions.list('bob')], before)
  t.equal((await browser.register()).statusCode, 200)
  t.equal((await bound.refresh()).statusCode, 200)
})

t.test('RedisStore', async (t) => {
  const server = await redisFor(t)
  const admin = server.client()

  t.test('a bound session is bound on every node', async (t) => {
    const one = await serve(t, { redis: server.client() })
    const other = await serve(t, { redis: server.client() })
    const browser = new BindingBrowser({
      inject: async (request: { url: string }) =>
        await (request.url === '/auth/device' ? one : other).app.inject(request)
    } as never)
    await browser.bind()
    t.match(await one.app.sessions.list('ada'), [{ bound: 'dbsc' }])
    for (let i = 0; i < 3; i++) {
      t.equal(code(await browser.thief().refresh()), unproven)
      t.match(peek(accessToken(await browser.refresh())), { bound: true })
    }
    await one.app.sessions.revokeAll('ada')
  })

  t.test('a store that lost the binding is told by the token, and binds again', async (t) => {
    await admin.flushall()
    const { app, browser } = await serve(t, { redis: server.client() })
    const events = observe(t)
    await browser.login()
    const [key = ''] = await admin.keys('*')
    const backup = await admin.hgetallBuffer(key)
    const restore = async () => {
      for (const [sid, packed] of Object.entries(backup)) await admin.hset(key, sid, packed)
    }
    await browser.register()
    await browser.refresh()
    await restore()
    t.match(await app.sessions.list('ada'), [{ bound: null, generation: 1 }])
    t.equal(code(await browser.thief().refresh()), unproven)
    t.equal(code(await browser.thief().register(browser.offer)), unproven, 'another key')
    t.match(await app.sessions.list('ada'), [{ bound: null, generation: 1 }])
    events().length = 0
    t.match(peek(accessToken(await browser.refresh())), { bound: true })
    t.match(events().map(([name]) => name), ['heal', 'refresh'])
    t.match(await app.sessions.list('ada'), [{ bound: 'dbsc', generation: 3 }])
    t.equal(code(await browser.thief().refresh()), unproven)
  })
})
