import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import authPlugin from '../lib/index'
import { secret } from './support/app'
import { access, Jar, namesOf, refresh } from './support/cookie-mode'
import { apply, recipe } from './support/recipe'
import { redisFor } from './support/servers/redis'

const page = 'docs/pages.md'
const html = { accept: 'text/html,*/*;q=0.8' }
const form = { 'content-type': 'application/x-www-form-urlencoded', ...html }

type Landing = (to: unknown) => string
const findLanding = async (): Promise<Landing> =>
  (await recipe<{ landing: Landing }>(page, 'function landing')).landing

const checkPassword = async ({ username, password }: Record<string, string>) =>
  password === 'lovelace' ? { id: username } : null

/** Builds the application of the page, with the parts of it that these words name. */
async function build (t: Test, parts: string[], given: Record<string, unknown> = {}) {
  const app = Fastify()
  t.teardown(async () => await app.close())
  const redis = (await redisFor(t)).client()
  const landing = await findLanding()
  const all = { authPlugin, redis, secret, checkPassword, landing, ...given }
  for (const words of parts) await apply(page, words, app, all)
  const visit = async (jar: Jar, url: string, payload?: string, headers = {}) => {
    const cookie = jar.header === '' ? {} : { cookie: jar.header }
    const post = { method: 'POST', payload, headers: form }
    const sent = payload === undefined ? { headers: html } : post
    const all = { ...sent.headers, ...cookie, ...headers }
    const response = await app.inject({ ...sent, url, headers: all } as InjectOptions)
    jar.take(response)
    return response
  }
  const login = async (): Promise<Jar> => {
    const jar = new Jar()
    await visit(jar, '/login', 'username=ada&password=lovelace')
    return jar
  }
  return { app, visit, login }
}

const whole = ['fastifyFormbody', "fastify.post('/login'", 'isPage']

t.test('a plain form logs in, and a plain form logs out', async (t) => {
  const { visit } = await build(t, whole)
  const jar = new Jar()
  const sent = await visit(jar, '/account?tab=2')
  t.match(sent, { statusCode: 303, headers: { location: '/login?to=%2Faccount%3Ftab%3D2' } })
  const shown = await visit(jar, String(sent.headers.location))
  t.match(shown.body, 'name="to" value="/account?tab=2"')
  const cunning = await visit(jar, `/login?to=${encodeURIComponent('/"><b>\'?"><i>&lt=1')}`)
  t.match(cunning.body, 'name="to" value="/%22%3E%3Cb%3E\'?%22%3E%3Ci%3E&amp;lt=1">')
  const wrong = await visit(jar, '/login', 'username=ada&password=no')
  t.match(wrong, { statusCode: 403, body: /Wrong name or password[^]*name="to" value="\/"/ })
  t.equal(jar.header, '')
  const right = await visit(jar, '/login', 'username=ada&password=lovelace&to=/account?tab=2')
  t.match(right, { statusCode: 303, headers: { location: '/account?tab=2' } })
  t.strictSame(namesOf(right), [access, refresh])
  t.match(await visit(jar, '/account'), { body: '<h1>Hello ada</h1>' })

  jar.cookies.delete(access)
  t.strictSame(namesOf(await visit(jar, '/account')), [access, refresh], 'renewed')
  const copy = jar.copy()
  const left = await visit(jar, '/logout', '')
  t.match(left, { statusCode: 303, headers: { location: '/' } })
  t.equal(jar.header, '')
  t.match(await visit(jar, '/'), { statusCode: 200, body: 'href="/account"' })
  t.match(await visit(copy, '/account'), { statusCode: 303 })
})

t.test('whoever is refused without asking for a page is told by a status', async (t) => {
  const { app, visit } = await build(t, whole)
  const answer = await app.inject({ url: '/account', headers: { accept: 'application/json' } })
  t.match(answer.json(), { code: 'ACCESS_TOKEN_MISSING', statusCode: 401 })
  const posted = await visit(new Jar(), '/account', '')
  t.equal(posted.statusCode, 404)
  for (const payload of [undefined, {}, { username: 'ada' }]) {
    const incomplete = await app.inject({ method: 'POST', url: '/login', payload })
    t.equal(incomplete.statusCode, 400, JSON.stringify(payload))
  }
})

t.test('no `to` leads off the site', async (t) => {
  const landing = await findLanding()
  t.equal(landing('/account?tab=2'), '/account?tab=2')
  t.equal(landing('/a/../b'), '/b')
  const site = 'https://app.example'
  const evil = [
    '//evil.example', '/\\evil.example', '\\\\evil.example', '/\t/evil.example',
    '/\n/evil.example', 'https://evil.example', 'https:evil.example', 'javascript:alert(1)',
    '/.//evil.example', '/..//evil.example', '/x/..//evil.example', '/./\\evil.example',
    '/%2e//evil.example', '///evil.example', '/\\/\\evil.example',
    '//\tevil.example', ' //evil.example', '', 'account', '@evil.example', '.evil.example',
    '/\u0000/evil.example',
    '//evil.example:443/%2f..', '/https://evil.example', undefined, null, 7, ['/a'], {}, '//', '/\\', '/'
  ]
  for (const to of evil) {
    const path = landing(to)
    t.equal(new URL(path, site).origin, site, `${JSON.stringify(to)} leads to ${path}`)
    t.notMatch(path, /^\/[/\\]/)
  }
})

t.test('files and downloads behind the guard', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'files-'))
  writeFileSync(join(root, 'a.txt'), 'a file')
  const reportOf = (sub: string): string => `name\n${sub}\n`
  const { visit, login } = await build(t, [...whole, "prefix: '/files/'"], { root, reportOf })
  const jar = await login()
  const file = await visit(jar, '/files/a.txt')
  t.match(file, { statusCode: 200, body: 'a file' })
  t.equal(file.headers['cache-control'], 'public, max-age=3600')
  jar.cookies.delete(access)
  const renewed = await visit(jar, '/files/a.txt')
  t.match(renewed, { statusCode: 200, headers: { 'cache-control': 'no-store' } })
  const report = await visit(jar, '/report.csv')
  t.match(report, { body: 'name\nada\n', headers: { 'cache-control': 'private' } })
  t.equal((await visit(new Jar(), '/files/a.txt')).statusCode, 303)
})

t.test('a callback logs in whom the provider has sent', async (t) => {
  const exchangeCode = async ({ query }: { query: { code?: string } }) => ({ id: query.code })
  const { visit } = await build(t, [...whole, 'exchangeCode'], { exchangeCode })
  const jar = new Jar()
  const from = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
  const back = await visit(jar, '/callback?code=ada', undefined, from)
  t.match(back, { statusCode: 303, headers: { location: '/account' } })
  t.match(await visit(jar, '/account', undefined, from), { body: '<h1>Hello ada</h1>' })
})

t.test('an app beside the pages sends a header', async (t) => {
  const { app } = await build(t, ["transports: ['cookie', 'body']"], { credentials: { type: 'object' } })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  const post = async (url: string, payload: object) =>
    await app.inject({ method: 'POST', url, payload })
  const response = await post('/token', { username: 'grace', password: 'lovelace' })
  t.strictSame(response.cookies, [])
  const { access_token: token, refresh_token: next } = response.json()
  const headers = { authorization: `Bearer ${token}` }
  t.match((await app.inject({ url: '/me', headers })).json(), { sub: 'grace' })
  const refreshed = await post('/auth/refresh', { refresh_token: next })
  t.match(refreshed.json(), { access_token: String, refresh_token: String })
  t.equal((await post('/token', { username: 'grace', password: 'no' })).statusCode, 403)
  t.equal((await app.inject({ method: 'POST', url: '/token' })).statusCode, 400)
})

t.test('a fragment that is refused leads the whole page to the login', async (t) => {
  const { app } = await build(t, ['fastifyFormbody', 'hx-redirect'])
  for (const [page, to] of [
    ['https://app.example/notes?tab=2', '%2Fnotes'], ['nonsense', '%2F']
  ]) {
    const headers = { ...html, 'hx-request': 'true', 'hx-current-url': page }
    const refused = await app.inject({ url: '/account', headers })
    t.match(refused, { statusCode: 401, body: '', headers: { 'hx-redirect': `/login?to=${to}` } })
  }
  const bare = await app.inject({ url: '/account', headers: { 'hx-request': 'true' } })
  t.match(bare, { statusCode: 401, headers: { 'hx-redirect': '/login?to=%2F' } })
  t.equal((await app.inject('/account')).statusCode, 401)
  const page = await app.inject({ url: '/account?tab=2', headers: html })
  t.match(page, { statusCode: 303, headers: { location: '/login?to=%2Faccount%3Ftab%3D2' } })
  t.equal((await app.inject({ url: '/nowhere', headers: html })).statusCode, 404)
})

t.test('a template is given the user', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'views-'))
  writeFileSync(join(root, 'home.eta'), '<h1>Hello <%= it.user.sub %></h1>')
  const { visit, login } = await build(t, [...whole, 'fastifyView'], { root })
  const jar = await login()
  t.equal((await visit(jar, '/home')).body, '<h1>Hello ada</h1>')
  jar.cookies.delete(access)
  const renewed = await visit(jar, '/home')
  t.strictSame(namesOf(renewed), [access, refresh])
  t.equal(renewed.headers['cache-control'], 'no-store')
})

t.test('a server that renders pages beside the API hands cookies on, and back', async (t) => {
  const api: FastifyInstance = (await build(t, ['fastifyFormbody'])).app
  const origin = await api.listen({ port: 0, host: '127.0.0.1' })
  const { refreshToken } = await api.sessions.open({ sub: 'ada' })
  const { callApi } = await recipe<{ callApi: (...args: unknown[]) => Promise<Response> }>(
    page, 'function callApi', (code) => `const api = '${origin}'\n${code}`)
  const pages = Fastify()
  t.teardown(async () => await pages.close())
  pages.get('/', async (request, reply) =>
    await reply.type('text/html').send(await (await callApi('/account', request, reply)).text()))
  const first = await pages.inject({ url: '/', headers: { cookie: `${refresh}=${refreshToken}` } })
  t.match(first.body, '<h1>Hello ada</h1>')
  t.strictSame(namesOf(first), [access, refresh])
  t.equal(first.headers['cache-control'], 'no-store')
  const jar = new Jar()
  jar.take(first)
  const second = await pages.inject({ url: '/', headers: { cookie: jar.header } })
  t.match(second, { body: '<h1>Hello ada</h1>', cookies: [] })
})
