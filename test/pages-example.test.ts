import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { access, refresh } from './support/cookie-mode'
import { snippet } from './support/recipe'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

const folder = join(__dirname, '../examples/pages')

/** Runs the example as its reader would; resolves with its address. */
async function run (t: Test, env: Record<string, string> = {}): Promise<string> {
  const child = spawn(process.execPath, [join(folder, 'server.mjs')], {
    env: { ...process.env, ...env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [line] = await once(createInterface(child.stdout), 'line') as [string]
  return `http://127.0.0.1:${new URL(line).port}`
}

/** A browser without scripts: it keeps cookies, sends forms, and follows redirects by hand. */
class Visitor {
  readonly cookies = new Map<string, string>()
  constructor (readonly origin: string, readonly name: string) {}

  get headers (): Record<string, string> {
    const cookie = [...this.cookies].map((pair) => pair.join('=')).join('; ')
    const own = { 'user-agent': this.name, 'sec-fetch-site': 'same-origin' }
    return { cookie, accept: 'text/html,*/*', ...own }
  }

  async get (path: string, more: RequestInit = {}): Promise<Response> {
    const response = await fetch(this.origin + path, {
      redirect: 'manual', ...more, headers: { ...this.headers, ...more.headers }
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (line.includes('Max-Age=0')) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return response
  }

  async post (path: string, form: Record<string, string> = {}, headers = {}): Promise<Response> {
    return await this.get(path, { method: 'POST', body: new URLSearchParams(form), headers })
  }

  async login (password = 'lovelace', to = '/'): Promise<Response> {
    return await this.post('/login', { username: 'ada', password, to })
  }

  /** What a browser does once the access cookie has run out. */
  expire (): void {
    this.cookies.delete(access)
  }

  /** The status of the answer to a handshake. */
  async handshake (origin: string): Promise<number | undefined> {
    const { 'sec-fetch-site': _none, ...headers } = this.headers
    const sent = request(`${this.origin}/chat`, {
      headers: {
        ...headers,
        origin,
        connection: 'upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': Buffer.alloc(16).toString('base64')
      }
    })
    sent.end()
    return await new Promise((resolve, reject) => {
      sent.on('upgrade', ({ statusCode }, socket) => { socket.destroy(); resolve(statusCode) })
      sent.on('response', ({ statusCode }) => { sent.destroy(); resolve(statusCode) })
      sent.on('error', reject)
    })
  }
}

const locationOf = (response: Response): string =>
  `${response.status} ${response.headers.get('location')}`

t.test('all that a page is made of, also once the access cookie has run out', async (t) => {
  const origin = await run(t)
  const ada = new Visitor(origin, 'Firefox')
  t.equal(locationOf(await ada.get('/notes.txt?a=1')), '303 /login?to=%2Fnotes.txt%3Fa%3D1')
  t.match(await (await ada.get('/login?to=/notes.txt?a=1')).text(), 'value="/notes.txt?a=1"')
  t.equal((await ada.login('no')).status, 403)
  t.equal(locationOf(await ada.login('lovelace', '//evil.example')), '303 /')
  t.equal(locationOf(await ada.login('lovelace', '/devices')), '303 /devices')
  const expire = [() => {}, () => ada.expire()]
  for (const before of expire) {
    before()
    t.equal(locationOf(await ada.post('/notes', { text: '<b>"bread" & butter</b>' })), '303 /')
    before()
    const home = await (await ada.get('/')).text()
    t.match(home, '<li>&lt;b&gt;&quot;bread&quot; &amp; butter&lt;/b&gt;</li>')
    before()
    const pictures = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (i) => await ada.get(`/pictures/${i}.svg`)))
    t.strictSame(pictures.map(({ status }) => status), [200, 200, 200, 200, 200, 200])
    before()
    const download = await ada.get('/notes.txt')
    t.match(download.headers.get('content-disposition'), 'attachment')
    before()
    t.equal(await ada.handshake(origin), 101)
    t.equal(await ada.handshake('https://evil.example'), 403)
    before()
    const news = await ada.get('/news')
    const reader = news.body?.getReader()
    await ada.post('/notes', { text: 'news' })
    const { value } = await reader?.read() ?? {}
    t.equal(Buffer.from(value ?? []).toString(), 'data: "news"\n\n')
    await reader?.cancel()
  }
  const foreign = { 'sec-fetch-site': 'same-site' }
  t.equal((await ada.post('/notes', { text: 'forged' }, foreign)).status, 403)
  t.notMatch(await (await ada.get('/notes.txt')).text(), 'forged')

  t.equal(locationOf(await ada.post('/logout')), '303 /login')
  t.equal(ada.cookies.size, 0)
  t.equal((await ada.get('/')).status, 303)
})

t.test('devices are listed and logged out, on every node', async (t) => {
  const env = { REDIS_URL: (await redisFor(t)).path }
  const nodes = await Promise.all([run(t, env), run(t, env)])
  const phone = new Visitor(nodes[0] as string, 'Firefox/1 (Android)')
  const laptop = new Visitor(nodes[1] as string, 'Chrome/1 (Linux)')
  await phone.login()
  await laptop.login()
  t.equal((await phone.get('/')).status, 200)
  const list = await (await laptop.get('/devices')).text()
  t.match(list, /Firefox on Android[^]*Log out[^]*Chrome on Linux[^]*This one: log out/)
  const [, path = ''] = /Android[^]*?action="([^"]+)"/.exec(list) ?? []
  t.equal(locationOf(await laptop.post(`/${path}`)), '303 /devices')
  await until('the phone to be out', async () => (await phone.get('/')).status === 303)
  await phone.login()
  t.equal(locationOf(await phone.post('/everywhere')), '303 /login')
  await until('the laptop to be out', async () => (await laptop.get('/')).status === 303)
  t.ok(laptop.cookies.has(refresh), 'a refusal clears no cookie')
})

t.test('the example has the functions of docs/pages.md', async (t) => {
  for (const [file, words] of [
    ['landing.mjs', 'function landing'], ['when-ended.mjs', 'function whenEnded']
  ] as const) {
    t.equal(readFileSync(join(folder, file), 'utf8'), snippet('docs/pages.md', words).code, file)
  }
})
