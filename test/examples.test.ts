import { execFile, spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { peek } from './support/app'
import { startIssuer } from './support/issuer'
import { pages, snippetsOf } from './support/recipe'
import { freePort } from './support/servers/free-port'
import { temporaryFolder } from './support/servers/launch'
import { redisFor } from './support/servers/redis'

const folder = join(__dirname, '..', 'examples')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const running = new Set<() => void>()
process.on('exit', () => { for (const kill of running) kill() })

/** Runs an example as its reader would, on a free port; answers its address. */
async function run (
  t: Pick<Test, 'teardown'>, name: string, env: Record<string, string> = {}
): Promise<string> {
  const child = spawn(process.execPath, [join(folder, name)],
    { env: { ...process.env, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (data: Buffer) => { log += data.toString() })
  const kill = () => { child.kill('SIGKILL') }
  running.add(kill)
  const exit = once(child, 'exit')
  t.teardown(async () => {
    kill()
    running.delete(kill)
    await exit
  })
  const lines = createInterface(child.stdout)
  const [line] = await Promise.race([once(lines, 'line') as Promise<[string]>, exit])
  if (typeof line !== 'string') throw new Error(`${name} ended: ${log}`)
  // It may name an address of IPv6, which not every machine has.
  return `http://127.0.0.1:${new URL(line).port}`
}

interface Answer {
  status: number
  body: { access_token: string, refresh_token?: string, code?: string, role?: string, sub?: string }
  cookie: string | undefined
}

interface Ask {
  method?: string
  body?: object
  headers?: Record<string, string>
}

async function call (
  url: string, { method = 'GET', body, headers = {} }: Ask = {}
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body)
  })
  const text = await response.text()
  const [cookie] = response.headers.getSetCookie()
  return {
    status: response.status,
    body: text === '' ? {} : JSON.parse(text),
    cookie: cookie?.split(';')[0]
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const login = async (url: string, username: string, password: string, more = {}) =>
  await call(`${url}/login`, { method: 'POST', body: { username, password, ...more } })
const refresh = async (url: string, cookie = '', headers = {}) =>
  await call(`${url}/auth/refresh`, { method: 'POST', headers: { cookie, ...headers } })
const me = async (url: string, token: string) => await call(`${url}/me`, { headers: bearer(token) })

t.test('examples/README.md shows each example whole, or as its difference', async (t) => {
  const readme = read('README.md')
  const minimal = read('minimal.mjs')
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.mjs'))) {
    const link = `\\[${name.replaceAll('.', '\\.')}\\]\\(${name}\\)`
    const shown = new RegExp(`${link}[^]*?\n\`\`\`(js|diff)\n([^]*?)\`\`\``).exec(readme)
    const [, kind, text = ''] = shown ?? []
    t.equal(kind === 'js' ? text : apply(minimal, text), read(name), name)
  }
})

/** Applies a difference whose hunks are parted by `@@`, each of which fits just one place. */
function apply (text: string, difference: string): string {
  for (const hunk of difference.trimEnd().split('\n@@\n')) {
    const lines = hunk.split('\n')
    const side = (other: string) => lines.filter((line) => !line.startsWith(other))
      .map((line) => `${line.slice(1)}\n`).join('')
    const parts = text.split(side('+'))
    if (parts.length !== 2) return `this hunk fits ${parts.length - 1} places:\n${hunk}`
    text = parts.join(side('-'))
  }
  return text
}

t.test('examples and docs show the same of a device, and of a wrong password', async (t) => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.m?[jt]s$/.test(name) && !name.includes('node_modules'))
  const lists = files.filter((name) => read(name).includes('sessions.list('))
  t.equal(lists.length, 5)
  const device = /\{ sid, device, (?:bound, )?createdAt, refreshedAt: seenAt, current: sid === current \}/
  for (const name of lists) t.match(read(name), device, name)
  const ends = files.filter((name) => /delete\('\/?[a-z/]*devices\/:sid/i.test(read(name)))
  t.equal(ends.length, 4)
  const ended = /\? 204 : 404|HttpCode\(204\)[^]*NotFoundException\(\)/
  for (const name of ends) t.match(read(name), ended, name)

  const inExamples = files.map((name) => ({ name, code: read(name) }))
    .filter(({ code }) => code.includes('reply.login('))
  t.ok(inExamples.length >= 9)
  const inDocs = pages.flatMap(snippetsOf).filter(({ code }) => code.includes('checkPassword('))
    .map(({ page, line, code }) => ({ name: `${page}:${line}`, code }))
  t.ok(inDocs.length >= 6)
  for (const { name, code } of [...inExamples, ...inDocs]) {
    t.match(code, /code\(403\)|ForbiddenException\('/, name)
    t.match(code, /'Wrong name or password'|loginPage\(/, name)
  }
})

t.test('minimal: log in, be let in, stay in, log out', async (t) => {
  const url = await run(t, 'minimal.mjs')
  for (const [username, password] of [
    ['ada', 'wrong'], ['ada', undefined], ['eve', undefined], ['constructor', undefined]
  ]) {
    const refused = await call(`${url}/login`, { method: 'POST', body: { username, password } })
    t.equal(refused.status, 403)
  }
  const { body, cookie } = await login(url, 'ada', 'lovelace')
  t.equal((await me(url, body.access_token)).body.sub, 'ada')
  const refreshed = await refresh(url, cookie)
  t.equal((await me(url, refreshed.body.access_token)).status, 200)
  const headers = { cookie: refreshed.cookie ?? '' }
  t.equal((await call(`${url}/auth/logout`, { method: 'POST', headers })).status, 204)
  t.equal((await refresh(url, refreshed.cookie)).body.code, 'REFRESH_TOKEN_INVALID')
})

t.test('mobile: the app is given its refresh token in the body, a page never', async (t) => {
  const url = await run(t, 'mobile.mjs')
  const app = await login(url, 'ada', 'lovelace', { native: true, device: 'phone' })
  t.equal(app.cookie, undefined)
  const refreshByBody = async (token: string | undefined) =>
    await call(`${url}/auth/refresh`, { method: 'POST', body: { refresh_token: token } })
  const next = await refreshByBody(app.body.refresh_token)
  t.equal(peek(next.body.refresh_token ?? '').gen, 2)
  t.equal(next.cookie, undefined)
  for (const native of [undefined, false, 'body']) {
    const page = await login(url, 'ada', 'lovelace', { native })
    t.notOk('refresh_token' in page.body)
    t.equal((await refresh(url, page.cookie)).status, 200)
    const inBody = await refreshByBody(page.cookie?.split('=')[1])
    t.equal(inBody.body.code, 'REFRESH_TOKEN_INVALID')
  }
  const { refresh_token: token } = next.body
  const body = { refresh_token: token }
  t.equal((await call(`${url}/auth/logout`, { method: 'POST', body })).status, 204)
  t.equal((await refreshByBody(token)).body.code, 'REFRESH_TOKEN_INVALID')
})

t.test('bound: the token of an app is worth nothing without its key', async (t) => {
  const url = await run(t, 'bound.mjs')
  const { generateKeyPair, generateProof } = await import('dpop')
  const pair = await generateKeyPair('ES256')
  const user = { username: 'ada', password: 'lovelace', native: true }
  const post = async (path: string, body: object, nonce?: string, isProven = true) => {
    const proof = isProven
      ? { dpop: await generateProof(pair, `${url}${path}`, 'POST', nonce) }
      : undefined
    return await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...proof },
      body: JSON.stringify(body)
    })
  }
  t.match(await (await post('/login', user, undefined, false)).json(), {
    code: 'DPOP_PROOF_MISSING'
  })
  const answer = await post('/login', user)
  const nonce = String(answer.headers.get('dpop-nonce'))
  const { refresh_token: token } = await answer.json() as Answer['body']
  const body = { refresh_token: token }
  t.equal((await post('/auth/refresh', body, undefined, false)).status, 400)
  t.equal((await post('/auth/refresh', body, nonce)).status, 200)
  t.equal((await login(url, 'ada', 'lovelace')).status, 200, 'a page needs no key')
})

/** Runs a command of the app; resolves with what it says. */
async function runApp (AUTH_URL: string, TOKENS: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, AUTH_URL, TOKENS, NO_COLOR: '1' }
  const file = join(folder, 'mobile-app.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args], { env })
    .catch((error: { stdout: string }) => error)
  return stdout.trim()
}

t.test('mobile app: logs in, renews what has expired, learns of the end, logs out', async (t) => {
  const url = await run(t, 'mobile.mjs')
  const file = join(temporaryFolder(), 'tokens.json')
  const app = async (...args: string[]) => await runApp(url, file, ...args)
  const kept = () => JSON.parse(readFileSync(file, 'utf8'))
  t.match(await app('login', 'ada', 'wrong'), 'login: wrong name or password')
  t.match(await app('get', '/me'), 'get: not logged in')
  t.match(await app('login', 'ada', 'lovelace'), 'login: done')
  t.match(await app('get', '/me'), "sub: 'ada'")
  t.match(peek(kept().refresh_token), { gen: 1 })

  // What the guard does not take any more, it has renewed.
  writeFileSync(file, JSON.stringify({ ...kept(), access_token: 'expired' }))
  t.match(await app('get', '/me'), "sub: 'ada'")
  t.match(peek(kept().refresh_token), { gen: 2 })

  t.match(await app('logout'), 'logout: done')
  t.notOk(existsSync(file))

  await app('login', 'ada', 'lovelace')
  const { refresh_token: token } = kept()
  await call(`${url}/auth/logout`, { method: 'POST', body: { refresh_token: token } })
  writeFileSync(file, JSON.stringify({ ...kept(), access_token: 'expired' }))
  t.match(await app('get', '/me'), 'get: invalid_grant')
  t.notOk(existsSync(file), 'a session that was ended elsewhere')
})

t.test('mobile app: an outage is not the end', async (t) => {
  const { open, origin, store } = await startIssuer(t)
  const file = join(temporaryFolder(), 'tokens.json')
  const tokens = { access_token: 'expired', refresh_token: (await open()).refreshToken }
  writeFileSync(file, JSON.stringify(tokens))
  store.isDown = true
  t.match(await runApp(origin, file, 'get', '/me'), /^get: .*status code/)
  store.isDown = false
  t.match(await runApp(origin, file, 'get', '/me'), "sub: 'ada'")
})

t.test('key rotation: in the order that is told, users roam the processes', async (t) => {
  const { path } = await redisFor(t)
  const [older, newer] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const rings = [older, `${older},${newer}`, `${newer},${older}`, newer]
  const urls = await Promise.all(rings.map(async (AUTH_SECRETS) =>
    await run(t, 'key-rotation.mjs', { REDIS_URL: path, AUTH_SECRETS })))
  let user = await login(urls[0] ?? '', 'ada', 'lovelace')
  for (const [i, url] of urls.entries()) {
    for (const side of [url, urls[i + 1] ?? url, url]) {
      t.equal((await me(side, user.body.access_token)).status, 200)
      user = await refresh(side, user.cookie)
      t.equal(user.status, 200)
    }
  }
})

t.test('key pair: the second service knows whom the first one has let in', async (t) => {
  const key = join(temporaryFolder(), 'auth.pem')
  const { privateKey } = generateKeyPairSync('ed25519')
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const PORT = String(await freePort())
  const ISSUER = `http://127.0.0.1:${PORT}/auth`
  const [first, stranger] = await Promise.all([
    run(t, 'key-pair.mjs', { AUTH_KEY_FILE: key, ISSUER, PORT }),
    run(t, 'key-pair.mjs', { ISSUER })
  ])
  const second = await run(t, 'second-service.mjs', { ISSUER })
  const { body, cookie } = await login(first, 'ada', 'lovelace')
  t.equal(peek(body.access_token, 0).alg, 'EdDSA')
  t.equal((await me(first, body.access_token)).status, 200)
  const orders = async (headers: Record<string, string>) =>
    await call(`${second}/orders`, { headers })
  t.match(await orders(bearer(body.access_token)), { status: 200, body: { ordersOf: 'ada' } })
  const { body: { access_token: other } } = await login(stranger, 'ada', 'lovelace')
  const wrong = ['x', cookie?.split('=')[1] ?? '', other].map(bearer)
  for (const headers of [{}, { authorization: 'Bearer' }, ...wrong]) {
    t.equal((await orders(headers)).status, 401)
  }
  t.match(await orders(bearer((await refresh(first, cookie)).body.access_token)), { status: 200 })
  const elsewhere = ISSUER.replace('127.0.0.1', 'localhost')
  await t.rejects(run(t, 'second-service.mjs', { ISSUER: elsewhere }), /calls itself/)
})

t.test('roles: the next access token says what the database does, or there is none', async (t) => {
  const url = await run(t, 'roles.mjs')
  const ada = await login(url, 'ada', 'lovelace')
  const grace = await login(url, 'grace', 'hopper')
  t.equal((await me(url, grace.body.access_token)).body.role, 'author')
  const put = async (token: string, name: string, role: string) =>
    await call(`${url}/roles/${name}`, { method: 'PUT', body: { role }, headers: bearer(token) })
  t.equal((await put(grace.body.access_token, 'grace', 'admin')).status, 403)
  t.equal((await put(ada.body.access_token, 'grace', 'editor')).status, 204)
  const promoted = await refresh(url, grace.cookie)
  t.equal((await me(url, promoted.body.access_token)).body.role, 'editor')
  const headers = bearer(ada.body.access_token)
  t.equal((await call(`${url}/roles/grace`, { method: 'DELETE', headers })).status, 204)
  t.match(await refresh(url, promoted.cookie),
    { status: 401, body: { code: 'SESSION_REVOKED' }, cookie: undefined })
  t.equal((await refresh(url, ada.cookie)).status, 200)
})

t.test('paired: a cookie alone is worth nothing', async (t) => {
  const url = await run(t, 'paired.mjs')
  const { body, cookie } = await login(url, 'ada', 'lovelace')
  t.equal((await refresh(url, cookie)).body.code, 'ACCESS_TOKEN_MISSING')
  const other = await login(url, 'grace', 'hopper')
  const refused = await refresh(url, cookie, bearer(other.body.access_token))
  t.equal(refused.body.code, 'ACCESS_TOKEN_INVALID')
  t.equal((await refresh(url, cookie, bearer(body.access_token))).status, 200)
})
