import Fastify, { type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import authPlugin, {
  MemoryStore, type AuthPluginOptions, type RefreshTokenOptions
} from '../lib/index'
import { build, hour, minute, secret } from './support/app'

async function start (t: Test, refreshToken: RefreshTokenOptions = {}) {
  const warnings: string[] = []
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line)
    if (level === 40 && /does not keep/.test(msg)) warnings.push(msg)
  }
  const app = Fastify({ logger: { level: 'warn', stream: { write } } })
  t.teardown(() => app.close())
  await app.register(authPlugin, { secret, store: new MemoryStore(), refreshToken })
  app.post('/login', (_request, reply) => reply.login({ sub: 'ada' }))
  const login = async (headers: Record<string, string>) => {
    const { statusCode } = await app.inject({ method: 'POST', url: '/login', headers })
    t.equal(statusCode, 200)
  }
  return { login, warnings }
}

const mixed = {
  host: '127.0.0.1:3000', origin: 'http://localhost:5173', 'sec-fetch-site': 'cross-site'
}
const foreign = {
  host: 'api.example.com', origin: 'https://app.example.net', 'sec-fetch-site': 'cross-site'
}
const plain = { host: '192.168.1.5:3000', origin: 'http://192.168.1.5:3000' }

t.test('a login from localhost to 127.0.0.1 is warned of, once', async (t) => {
  const { login, warnings } = await start(t)
  await login(mixed)
  await login(mixed)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /two sites.*use one of the names/)
})

t.test('a login by a page of another site is warned of, once', async (t) => {
  const { login, warnings } = await start(t)
  await login({ ...foreign, 'sec-fetch-mode': 'cors' })
  await login(foreign)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /page of another site.*from one site, or set refreshToken\.cookie\.sameSite/)
  const schemes = await start(t)
  await schemes.login({ ...mixed, origin: 'https://127.0.0.1:5173' })
  t.match(schemes.warnings, [/page of another site/])
})

t.test('a login by plain http on a host that is not local is warned of, once', async (t) => {
  const { login, warnings } = await start(t)
  await login(plain)
  await login(plain)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /Secure.*use https/)
})

t.test('where the browser keeps the cookie, or there is a doubt, nothing is said', async (t) => {
  const { login, warnings } = await start(t)
  await login({ host: '192.168.1.5:3000' })
  await login({ host: 'localhost:3000', origin: 'http://localhost:3000' })
  await login({ ...mixed, host: 'localhost:3000', 'sec-fetch-site': 'same-site' })
  await login({ host: 'app.example.com', origin: 'https://app.example.com' })
  await login({ ...plain, 'sec-fetch-site': 'same-origin' })
  await login({ ...foreign, 'sec-fetch-mode': 'navigate' })
  await login({ ...mixed, 'sec-fetch-mode': 'navigate' })
  await login({ ...foreign, origin: 'chrome-extension://abcdefgh' })
  await login({ ...plain, origin: 'null' })
  const open = await start(t, { cookie: { secure: false } })
  await open.login(plain)
  const none = await start(t, { cookie: { sameSite: 'none' } })
  const unsaid = await start(t, { cookie: { sameSite: false } })
  for (const app of [none, unsaid]) {
    await app.login(mixed)
    await app.login(foreign)
  }
  const all = [warnings, open.warnings, none.warnings, unsaid.warnings]
  t.strictSame(all, [[], [], [], []])
})

const ofPage = { 'sec-fetch-site': 'same-origin' }
const stripped = { ...ofPage, 'x-forwarded-prefix': '/api' }

/** Behind a proxy that serves `/auth` as `/api/auth`, unless told otherwise. */
async function strip (
  t: Test, options: Partial<AuthPluginOptions> = {}, server: FastifyServerOptions = {}
) {
  const warnings: string[] = []
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line)
    if (level === 40 && /refreshToken\.cookie\.path/.test(msg)) warnings.push(msg)
  }
  const built = await build(t, {
    refreshToken: { cookie: { path: '/auth' } },
    ...options,
    server: { ...server, logger: { level: 'warn', stream: { write } } }
  })
  const post = async (url: string, headers: object) => {
    const { statusCode } = await built.app.inject({ method: 'POST', url, headers: { ...headers } })
    t.equal(statusCode, url.endsWith('/logout') ? 204 : 401)
  }
  return { ...built, warnings, post }
}

t.test('a page with an access token and without the cookie is warned of, once', async (t) => {
  for (const url of ['/auth/refresh', '/auth/logout']) {
    const { clock, login, post, warnings } = await strip(t)
    const { authorization } = await login()
    clock.pass(40 * minute)
    await post(url, { ...ofPage, authorization })
    await post(url, { ...ofPage, authorization })
    t.equal(warnings.length, 1)
    t.match(warnings[0], /its Path is \/auth, .* set refreshToken\.cookie\.path to '\/', or/)
  }
})

t.test('a prefix that was stripped, and that the cookie lacks, is warned of, once', async (t) => {
  const { post, warnings } = await strip(t)
  await post('/auth/refresh', stripped)
  await post('/auth/refresh?again', stripped)
  const says = (asked: string): RegExp =>
    new RegExp(`browser asks for ${asked}, where a cookie with Path=/auth does not go; set refresh`)
  t.match(warnings, [says('/api/auth/refresh')])
  t.equal(warnings.length, 1)

  const rewriteUrl = ({ url = '' }): string => url.replace('/v1', '')
  const rewritten = await strip(t, {}, { rewriteUrl })
  await rewritten.post('/v1/auth/refresh?a', ofPage)
  t.match(rewritten.warnings, [says('/v1/auth/refresh')])

  const cookie = { path: '/auth' }
  const mixed = await strip(t, { refreshToken: { cookie, transports: ['body', 'cookie'] } })
  const payload = { refresh_token: (await mixed.login()).refreshToken }
  t.equal((await mixed.refresh({ cookie: '' }, { payload })).statusCode, 200)
  await mixed.post('/auth/refresh', stripped)
  t.match(mixed.warnings, [says('/api/auth/refresh')], 'also where apps refresh by body')
})

t.test('a visitor without a login, or a doubt, is no reason to warn', async (t) => {
  const { clock, login, post, warnings } = await strip(t)
  const { authorization } = await login()
  await post('/auth/refresh', ofPage)
  await post('/auth/logout', ofPage)
  await post('/auth/refresh', { authorization })
  await post('/auth/refresh', { authorization, 'x-forwarded-prefix': '/api' })
  await post('/auth/refresh', { 'sec-fetch-site': 'same-site', authorization })
  await post('/auth/refresh', { ...ofPage, 'x-forwarded-prefix': 'api, /v1' })
  clock.pass(2 * hour)
  await post('/auth/refresh', { ...ofPage, authorization })
  t.strictSame(warnings, [])
})

t.test('where the cookie goes, or has once come back, nothing is said', async (t) => {
  const { login, post, refresh, warnings } = await strip(t)
  const client = await login()
  await refresh(client)
  await post('/auth/refresh', { ...ofPage, authorization: client.authorization })
  await post('/auth/refresh', stripped)

  const told = await strip(t, { refreshToken: { cookie: { path: '/api/auth' } } })
  await told.post('/auth/refresh', stripped)
  const { authorization } = await told.login()
  await told.post('/auth/refresh', { ...stripped, authorization })

  const whole = await strip(t, {
    prefix: '/api/auth', refreshToken: { cookie: { path: '/api/auth' } }
  })
  await whole.post('/api/auth/refresh', stripped)

  const everywhere = await strip(t, { refreshToken: {} })
  await everywhere.post('/auth/refresh', stripped)
  await everywhere.post('/auth/refresh', { ...ofPage, authorization })

  const byBody = await strip(t, {
    refreshToken: { cookie: { path: '/auth' }, transports: ['body', 'cookie'] }
  })
  const app = await byBody.login()
  await byBody.post('/auth/refresh', { ...ofPage, authorization: app.authorization })
  t.strictSame([warnings, told, whole, everywhere, byBody].map((of) =>
    Array.isArray(of) ? of : of.warnings), [[], [], [], [], []])
})
