import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import t from 'tap'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../lib/index'
import { DownStore } from '../support/down-store'
import { minute, peek, secret } from '../support/app'
import { pairs, startIssuer } from '../support/issuer'
import { startPython } from '../support/python'
import { recipe, textOf } from '../support/recipe'
import { complaint, type Program } from '../support/requirements.cjs'
import { freePort } from '../support/servers/free-port'
import { launch, temporaryFolder } from '../support/servers/launch'
import { until } from '../support/servers/until'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

const page = 'docs/interop.md'
const issuerOfPage = 'https://login.example.com/auth'

/** Leaves a test out if this machine lacks the program; in CI it fails by the same sentence. */
const needs = (program: Program): { skip: string | false } => {
  const missing = complaint(program)
  if (missing !== undefined && process.env.CI) throw new Error(missing)
  return { skip: missing ?? false }
}

/** Returns the code block of a page, in another language than JavaScript, that has these words. */
function block (language: string, words: string): string {
  const blocks = textOf(page).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))
  const found = [...blocks].flatMap(([, code = '']) => code.includes(words) ? [code] : [])
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${page} have ${words}`)
  return String(found[0])
}

for (const library of ['requests-oauthlib', 'Authlib']) {
  t.test(`Python's ${library} refreshes, and knows an outage from the end`, needs('python3'),
    async (t) => {
      const { clock, issuer, open, origin, store } = await startIssuer(t)
      const python = startPython(t)
      const first = await open()
      const refresh = async (token: string) => await python({
        do: 'refresh', library, issuer, refresh_token: token, access_token: first.accessToken
      })
      const { result } = await refresh(first.refreshToken)
      const next = (result as { refresh_token: string }).refresh_token
      t.match(peek(next), { gen: 2 })
      store.isDown = true
      t.match(await refresh(next), {
        raised: { Authlib: 'HTTPError', 'requests-oauthlib': 'MissingTokenError' }[library]
      }, 'an outage has a name of its own')
      store.isDown = false
      clock.pass(minute)
      t.match(await refresh(first.refreshToken), { error: 'invalid_grant' }, 'reuse')
      t.match(await refresh(next), { error: 'invalid_grant' }, 'and so the end')

      const second = await open()
      const tokens = { access_token: second.accessToken, refresh_token: second.refreshToken }
      const fetched = await python({ do: 'fetch', library, issuer, url: `${origin}/me`, ...tokens })
      t.match(fetched, { result: { status: 200, body: { sub: 'ada' }, kept: [{}] } }, 'by itself')
    })
}

t.test("Python's Authlib revokes by either token", needs('python3'), async (t) => {
  const { app, issuer, open } = await startIssuer(t)
  const python = startPython(t)
  for (const hint of ['refresh_token', 'access_token']) {
    const { accessToken, refreshToken } = await open()
    const token = hint === 'refresh_token' ? refreshToken : accessToken
    const revoke = { do: 'revoke', library: 'Authlib', issuer, token, hint }
    t.match(await python(revoke), { result: 200 })
    t.same(await app().sessions.list('ada'), [])
  }
})

for (const library of ['PyJWT', 'Authlib']) {
  t.test(`Python's ${library} verifies by the issuer, with each kind of key`, needs('python3'),
    async (t) => {
      const python = startPython(t)
      for (const create of Object.values(pairs)) {
        const { issuer, open } = await startIssuer(t, create())
        const { accessToken, refreshToken } = await open()
        const verify = async (token: string) =>
          await python({ do: 'verify', library, issuer, token })
        t.match(await verify(accessToken), { result: { sub: 'ada', aud: 'orders' } })
        const stranger = await startIssuer(t, create(), {
          accessToken: { issuer, audience: 'orders' }, routes: {}
        })
        const other = (await stranger.open()).accessToken
        for (const token of [refreshToken, other, `${accessToken}x`]) {
          t.match(await verify(token), { raised: /./ })
        }
      }
    })
}

t.test('the Python of the page verifies', needs('python3'), async (t) => {
  const { issuer, open } = await startIssuer(t)
  const python = startPython(t)
  const code = block('python', 'PyJWKClient').replace(issuerOfPage, issuer)
  const call = async (token: string) =>
    await python({ do: 'run', code, call: 'verify', arguments: [token] })
  const { accessToken, refreshToken } = await open()
  t.match(await call(accessToken), { result: { sub: 'ada' } })
  t.match(await call(refreshToken), { raised: /./ })
})

t.test('the Python of the page refreshes by itself', needs('python3'), async (t) => {
  const { issuer, open, origin } = await startIssuer(t)
  const python = startPython(t)
  const code = block('python', 'OAuth2Session').replace('https://api.example.com', origin)
  const { accessToken, refreshToken } = await open()
  const token = {
    access_token: accessToken, refresh_token: refreshToken, token_type: 'Bearer', expires_at: 1
  }
  const { result } = await python({ do: 'renew', code, issuer, token })
  t.match((result as Array<{ refresh_token: string }>).map(({ refresh_token: next }) => peek(next)),
    [{ gen: 2 }])
})

const run = promisify(execFile)

t.test('curl keeps a session in its jar, or refreshes by a form', needs('curl'), async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(authPlugin, {
    secret, store: new MemoryStore(), refreshToken: { transports: ['cookie', 'body'] }
  })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const jar = join(temporaryFolder(), 'jar')
  const curl = async (path: string, ...args: string[]): Promise<string> => {
    const url = app.listeningOrigin + path
    const { stdout } = await run('curl', ['-s', '-w', ' %{http_code}', ...args, url])
    return stdout
  }
  const inJar = ['-X', 'POST', '-c', jar, '-b', jar]
  for (const path of ['/login', '/auth/refresh', '/auth/refresh']) {
    t.match(await curl(path, ...inJar), /access_token.* 200$/)
  }
  t.match(readFileSync(jar, 'utf8'), /__Host-refresh_token/)
  t.match(await app.sessions.list('ada'), [{ generation: 3 }])
  t.equal(await curl('/auth/logout', ...inJar), ' 204')
  t.notMatch(readFileSync(jar, 'utf8'), /__Host-refresh_token/)

  const { refreshToken } = await app.sessions.open({ sub: 'ada' }, { transport: 'body' })
  const form = ['-d', `refresh_token=${refreshToken}`]
  t.match(await curl('/auth/refresh', '-d', 'grant_type=refresh_token', ...form),
    /"refresh_token":.* 200$/)
  t.equal(await curl('/auth/logout', '-d', `token=${refreshToken}`), '{} 200')
  t.match(await curl('/auth/refresh', '-d', 'grant_type=refresh_token', ...form),
    /"error":"invalid_grant".* 400$/)
})

/** Starts nginx as the page has it, before a service that says whom it serves. */
async function startNginx (t: Teardown, options: Partial<AuthPluginOptions> = {}) {
  const store = new DownStore()
  const app = Fastify()
  const service = Fastify()
  t.teardown(async () => await Promise.all([app.close(), service.close()]))
  await app.register(authPlugin, { secret, store, ...options })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  const guard = await recipe<{ default: (fastify: typeof app) => void }>(page, "'/allowed'",
    (code) => `export default (fastify) => {\n${code}\n}`)
  guard.default(app)
  service.all('/*', async ({ headers, body }) => ({
    user: headers['x-user'], authorization: headers.authorization, body
  }))
  const [auth, behind] = await Promise.all(
    [app, service].map(async (each) => await each.listen({ port: 0, host: '127.0.0.1' })))
  const port = await freePort()
  const folder = temporaryFolder()
  const config = block('nginx', 'auth_request')
    .replaceAll('http://127.0.0.1:3000', String(auth))
    .replaceAll('http://127.0.0.1:4000', String(behind))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')
  writeFileSync(join(folder, 'nginx.conf'), `daemon off; master_process off; pid ${folder}/pid;
error_log stderr; events {} http { access_log off; ${temporary}
server { listen 127.0.0.1:${port}; ${config} } }`)
  const args = ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')]
  const nginx = launch(folder, args, 'nginx')
  t.teardown(async () => await nginx.signal('SIGTERM'))
  const url = `http://127.0.0.1:${port}`
  await until(() => `nginx: ${nginx.log()}`, async () => await fetch(url))
  return { app, store, url }
}

t.test('nginx asks a guarded route by auth_request, as the page has it', needs('nginx'),
  async (t) => {
    const { app, url } = await startNginx(t)
    const { accessToken, sid } = await app.sessions.open({ sub: 'ada' })
    const authorization = `Bearer ${accessToken}`
    const headers = { authorization, 'x-user': 'eve', 'content-type': 'application/json' }
    const got = await fetch(`${url}/orders`, { headers })
    t.same(await got.json(), { user: 'ada' }, 'and the token stays outside')
    const posted = await fetch(`${url}/orders`, { method: 'POST', headers, body: '{"n":1}' })
    t.match(await posted.json(), { user: 'ada', body: { n: 1 } })
    for (const [given, challenge] of [
      [{}, 'Bearer'],
      [{ 'x-user': 'ada' }, 'Bearer'],
      [{ authorization: 'Bearer x' }, /^Bearer error="invalid_token"/]
    ] as Array<[Record<string, string>, string | RegExp]>) {
      const refused = await fetch(`${url}/orders`, { headers: given })
      t.equal(refused.status, 401)
      t.match(refused.headers.get('www-authenticate'), challenge)
    }
    t.equal((await fetch(`${url}/allowed`, { headers })).status, 404, 'the route is internal')
    await app.sessions.revoke('ada', sid)
    t.equal((await fetch(`${url}/orders`, { headers })).status, 401, 'a session that has ended')
  })

t.test('before a guard in cookie mode, nginx keeps the method, and so foreign pages out',
  needs('nginx'), async (t) => {
    const { app, url } = await startNginx(t, { accessToken: { cookie: true } })
    const login = await app.inject({ method: 'POST', url: '/login' })
    const cookie = login.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
    const post = async (site: string) => await fetch(`${url}/orders`, {
      method: 'POST', headers: { cookie, 'sec-fetch-site': site }
    })
    t.equal((await post('same-origin')).status, 200)
    t.equal((await post('cross-site')).status, 403)
    t.equal((await fetch(`${url}/orders`, { headers: { cookie } })).status, 200)
  })

t.test('nginx answers an outage of the store by 500, which is no verdict', needs('nginx'),
  async (t) => {
    const { app, store, url } = await startNginx(t)
    const { accessToken } = await app.sessions.open({ sub: 'ada' })
    const headers = { authorization: `Bearer ${accessToken}` }
    store.find = async () => { throw new Error('connect ECONNREFUSED') }
    t.equal((await fetch(`${url}/orders`, { headers })).status, 500)
  })
