import { spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { peek } from './support/app'
import { temporaryFolder } from './support/servers/launch'
import { redisFor } from './support/servers/redis'

const folder = join(__dirname, '..', 'examples')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const running = new Set<() => void>()
process.on('exit', () => { for (const kill of running) kill() })

/** Runs an example as its reader would, on a free port; answers its address. */
async function run (t: Pick<Test, 'teardown'>, name: string, env: Record<string, string> = {}): Promise<string> {
  const child = spawn(process.execPath, [join(folder, name)], { env: { ...process.env, ...env, PORT: '0' }, stdio: ['ignore', 'pipe', 'pipe'] })
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
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line') as Promise<[string]>, exit])
  if (typeof line !== 'string') throw new Error(`${name} ended: ${log}`)
  // It may name an address of IPv6, which not every machine has.
  return `http://127.0.0.1:${new URL(line).port}`
}

interface Answer {
  status: number
  body: { access_token: string, refresh_token?: string, code?: string, role?: string, sub?: string }
  cookie: string | undefined
}

async function call (url: string, { method = 'GET', body, headers = {} }: { method?: string, body?: object, headers?: Record<string, string> } = {}): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body)
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : JSON.parse(text), cookie: response.headers.getSetCookie()[0]?.split(';')[0] }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const login = async (url: string, username: string, password: string, more = {}) =>
  await call(`${url}/login`, { method: 'POST', body: { username, password, ...more } })
const refresh = async (url: string, cookie = '', headers = {}) =>
  await call(`${url}/auth/refresh`, { method: 'POST', headers: { cookie, ...headers } })
const me = async (url: string, token: string) => await call(`${url}/me`, { headers: bearer(token) })

t.test('examples/README.md shows each example whole, or as its difference from the minimal one', async (t) => {
  const readme = read('README.md')
  const minimal = read('minimal.mjs')
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.mjs'))) {
    const shown = new RegExp(`\\[${name.replaceAll('.', '\\.')}\\]\\(${name}\\)[^]*?\n\`\`\`(js|diff)\n([^]*?)\`\`\``).exec(readme)
    const [, kind, text = ''] = shown ?? []
    t.equal(kind === 'js' ? text : apply(minimal, text), read(name), name)
  }
})

/** Applies a difference whose hunks are parted by `@@`, each of which fits just one place. */
function apply (text: string, difference: string): string {
  for (const hunk of difference.trimEnd().split('\n@@\n')) {
    const lines = hunk.split('\n')
    const side = (other: string) => lines.filter((line) => !line.startsWith(other)).map((line) => `${line.slice(1)}\n`).join('')
    const parts = text.split(side('+'))
    if (parts.length !== 2) return `this hunk fits ${parts.length - 1} places:\n${hunk}`
    text = parts.join(side('-'))
  }
  return text
}

t.test('all examples show the same of a device, and refuse a wrong password by 403', async (t) => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.m?[jt]s$/.test(name) && !name.includes('node_modules'))
  const lists = files.filter((name) => read(name).includes('sessions.list('))
  t.equal(lists.length, 5)
  const device = '{ sid, device, createdAt, refreshedAt, current: sid === current }'
  for (const name of lists) t.ok(read(name).includes(device), name)
  const logins = files.filter((name) => /reply\.login\(/.test(read(name)))
  t.ok(logins.length >= 9)
  for (const name of logins) t.match(read(name), /code\(403\)|ForbiddenException\(\)/, name)
})

t.test('minimal: log in, be let in, stay in, log out', async (t) => {
  const url = await run(t, 'minimal.mjs')
  for (const [name, password] of [['ada', 'wrong'], ['ada', undefined], ['eve', undefined], ['constructor', undefined]]) {
    t.equal((await call(`${url}/login`, { method: 'POST', body: { username: name, password } })).status, 403)
  }
  const { body, cookie } = await login(url, 'ada', 'lovelace')
  t.equal((await me(url, body.access_token)).body.sub, 'ada')
  const refreshed = await refresh(url, cookie)
  t.equal((await me(url, refreshed.body.access_token)).status, 200)
  t.equal((await call(`${url}/auth/logout`, { method: 'POST', headers: { cookie: refreshed.cookie ?? '' } })).status, 204)
  t.equal((await refresh(url, refreshed.cookie)).body.code, 'REFRESH_TOKEN_INVALID')
})

t.test('mobile: the app is given its refresh token in the body, a page never', async (t) => {
  const url = await run(t, 'mobile.mjs')
  const app = await login(url, 'ada', 'lovelace', { native: true, device: 'phone' })
  t.equal(app.cookie, undefined)
  const next = await call(`${url}/auth/refresh`, { method: 'POST', body: { refresh_token: app.body.refresh_token } })
  t.equal(peek(next.body.refresh_token ?? '').gen, 2)
  t.equal(next.cookie, undefined)
  for (const native of [undefined, false, 'body']) {
    const page = await login(url, 'ada', 'lovelace', { native })
    t.notOk('refresh_token' in page.body)
    t.equal((await refresh(url, page.cookie)).status, 200)
    t.equal((await call(`${url}/auth/refresh`, { method: 'POST', body: { refresh_token: page.cookie?.split('=')[1] } })).body.code, 'REFRESH_TOKEN_INVALID')
  }
  t.equal((await call(`${url}/auth/logout`, { method: 'POST', body: { refresh_token: next.body.refresh_token } })).status, 204)
  t.equal((await call(`${url}/auth/refresh`, { method: 'POST', body: { refresh_token: next.body.refresh_token } })).body.code, 'REFRESH_TOKEN_INVALID')
})

t.test('key rotation: in the order that is told, a user goes from process to process', async (t) => {
  const { path } = await redisFor(t)
  const [older, newer] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const rings = [older, `${older},${newer}`, `${newer},${older}`, newer]
  const urls = await Promise.all(rings.map(async (AUTH_SECRETS) => await run(t, 'key-rotation.mjs', { REDIS_URL: path, AUTH_SECRETS })))
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
  const file = join(temporaryFolder(), 'auth.pem')
  writeFileSync(file, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const [first, stranger] = await Promise.all([run(t, 'key-pair.mjs', { AUTH_KEY_FILE: file }), run(t, 'key-pair.mjs')])
  const second = await run(t, 'second-service.mjs', { AUTH_URL: first })
  const { body, cookie } = await login(first, 'ada', 'lovelace')
  t.equal(peek(body.access_token, 0).alg, 'EdDSA')
  t.equal((await me(first, body.access_token)).status, 200)
  const orders = async (headers: Record<string, string>) => await call(`${second}/orders`, { headers })
  t.match(await orders(bearer(body.access_token)), { status: 200, body: { ordersOf: 'ada' } })
  for (const headers of [{}, { authorization: 'Bearer' }, bearer('x'), bearer(cookie?.split('=')[1] ?? ''), bearer((await login(stranger, 'ada', 'lovelace')).body.access_token)]) {
    t.equal((await orders(headers)).status, 401)
  }
  t.match(await orders(bearer((await refresh(first, cookie)).body.access_token)), { status: 200 })
})

t.test('roles: what the database says is in the next access token, and who is not there is out', async (t) => {
  const url = await run(t, 'roles.mjs')
  const ada = await login(url, 'ada', 'lovelace')
  const grace = await login(url, 'grace', 'hopper')
  t.equal((await me(url, grace.body.access_token)).body.role, 'author')
  const put = async (token: string, name: string, role: string) => await call(`${url}/roles/${name}`, { method: 'PUT', body: { role }, headers: bearer(token) })
  t.equal((await put(grace.body.access_token, 'grace', 'admin')).status, 403)
  t.equal((await put(ada.body.access_token, 'grace', 'editor')).status, 204)
  const promoted = await refresh(url, grace.cookie)
  t.equal((await me(url, promoted.body.access_token)).body.role, 'editor')
  t.equal((await call(`${url}/roles/grace`, { method: 'DELETE', headers: bearer(ada.body.access_token) })).status, 204)
  t.match(await refresh(url, promoted.cookie), { status: 401, body: { code: 'SESSION_REVOKED' }, cookie: undefined })
  t.equal((await refresh(url, ada.cookie)).status, 200)
})

t.test('paired: a cookie alone is worth nothing', async (t) => {
  const url = await run(t, 'paired.mjs')
  const { body, cookie } = await login(url, 'ada', 'lovelace')
  t.equal((await refresh(url, cookie)).body.code, 'ACCESS_TOKEN_MISSING')
  const other = await login(url, 'grace', 'hopper')
  t.equal((await refresh(url, cookie, bearer(other.body.access_token))).body.code, 'ACCESS_TOKEN_INVALID')
  t.equal((await refresh(url, cookie, bearer(body.access_token))).status, 200)
})
