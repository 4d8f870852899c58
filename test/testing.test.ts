import Fastify from 'fastify'
import t from 'tap'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../lib/index'
import { loginAs, storeContract, type Subject } from '../lib/testing/testing'
import { secret, TestClock } from './support/app'

type Test = InstanceType<typeof import('tap').Test>

/** An application whose plugin has not been awaited, as in CommonJS. */
function build (t: Test, options: Partial<AuthPluginOptions> = {}) {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.register(authPlugin, { secret, store: new MemoryStore(), ...options })
  app.register(async (app) => {
    app.get('/me', { onRequest: app.authenticate }, async ({ user, sid }) => ({ user, sid }))
    app.post('/logout', async (_request, reply) => {
      await reply.logout()
      return {}
    })
  })
  return { app }
}

const refreshCookie = '__Host-refresh_token'
const modes: Array<[string, Partial<AuthPluginOptions>, headers: string[], cookies: string[]]> = [
  ['in a header', {}, ['authorization', 'cookie'], [refreshCookie]],
  ['in cookie mode', { accessToken: { cookie: true } }, ['cookie'],
    ['__Host-access_token', refreshCookie]],
  ['with the body transport', { refreshToken: { transports: ['body'] } }, ['authorization'], []],
  ['with a cookie of another name', { refreshToken: { cookie: { name: 'r' } } },
    ['authorization', 'cookie'], ['r']]
]

for (const [mode, options, headerNames, cookieNames] of modes) {
  t.test(`a test logs in without a route: ${mode}`, async (t) => {
    const { app } = build(t, options)
    const login = await loginAs(app, { sub: 'ada', role: 'admin' }, { device: 'a test' })
    const { headers, cookies, refreshToken, sid } = login
    t.strictSame(Object.keys(headers), headerNames)
    t.strictSame(Object.keys(cookies), cookieNames)
    const me = await app.inject({ url: '/me', headers })
    t.match(me.json(), { user: { sub: 'ada', role: 'admin' }, sid })
    t.match(await app.sessions.list('ada'), [{ sid, device: 'a test' }])

    const byBody = cookieNames.length === 0
    const sent = byBody ? { payload: { refresh_token: refreshToken } } : { headers }
    const refreshed = await app.inject({ method: 'POST', url: '/auth/refresh', ...sent })
    t.equal(refreshed.statusCode, 200)
    const out = await app.inject({ method: 'POST', url: '/logout', headers })
    t.equal(out.statusCode, 200)
    t.strictSame(await app.sessions.list('ada'), [])
  })
}

t.test('the cookies alone are enough for a refresh', async (t) => {
  const { app } = build(t)
  const { cookies } = await loginAs(app, { sub: 'ada' })
  const refreshed = await app.inject({ method: 'POST', url: '/auth/refresh', cookies })
  t.equal(refreshed.statusCode, 200)
})

t.test('a login may name its transport where several are on', async (t) => {
  const { app } = build(t, { refreshToken: { transports: ['cookie', 'body'] } })
  const { headers, cookies } = await loginAs(app, { sub: 'ada' }, { transport: 'body' })
  t.strictSame([Object.keys(headers), cookies], [['authorization'], {}])
  await t.rejects(loginAs(app, { sub: '' }), {
    code: 'INVALID_LOGIN', message: /^fastify\.sessions\.open: claims\.sub is ""; /
  })
})

t.test('an instance without the plugin is told so', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await t.rejects(loginAs(app, { sub: 'ada' }), { code: 'NOT_REGISTERED' })
})

/** Runs the contract of a store; returns the titles of the tests that fail. */
async function failuresOf (store: (memory: MemoryStore) => Subject['store']): Promise<string[]> {
  const failed: string[] = []
  const tests: Array<Promise<unknown>> = []
  storeContract(() => {
    const clock = new TestClock()
    clock.ms = Date.now()
    return { store: store(new MemoryStore(clock)), pass: (ms) => clock.pass(ms) }
  }, {
    test: (title, body) => tests.push(body().catch(() => failed.push(title)))
  })
  await Promise.all(tests)
  t.ok(tests.length > 50, `${tests.length} tests`)
  return failed
}

/** A store that differs from another one. */
const differing = (store: MemoryStore, difference: object): Subject['store'] =>
  new Proxy(store, {
    get (target, name) {
      const member: unknown = name in difference
        ? difference[name as keyof typeof difference]
        : target[name as keyof typeof target]
      return typeof member === 'function' ? member.bind(target) as unknown : member
    }
  })

t.test('the contract of a store finds a store that breaks a promise', async (t) => {
  const generous = (store: MemoryStore) => differing(store, {
    rotate: async (user: string, rotation: Parameters<MemoryStore['rotate']>[1]) =>
      await store.rotate(user, { ...rotation, gracePeriod: rotation.gracePeriod * 2 })
  })
  const failed = await failuresOf(generous)
  t.ok(failed.includes('within the grace period the predecessor is repeated, and changes nothing'))
  t.ok(failed.length < 20, `${failed.length} fail`)
  const forgetful = (store: MemoryStore) => differing(store, { end: async () => undefined })
  t.ok((await failuresOf(forgetful)).includes('a session that was ended never comes back'))
})

t.test('a store that cannot bind keeps the contract', async (t) => {
  t.strictSame(await failuresOf((store) => differing(store, { bind: undefined })), [])
})
