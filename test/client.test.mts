import { gzipSync } from 'node:zlib'
import { build as bundle } from 'esbuild'
import t from 'tap'
import helpers from './support/app.js'
import { pass, signal, start } from './support/tab.mjs'

const { minute } = helpers
const ada = { claims: { sub: 'ada' } }

t.test('a login keeps the access token for the requests that follow', async (t) => {
  const { open, origin, seen, calls } = await start(t)
  const lifetimes: number[] = []
  const auth = open({ onToken: (seconds) => lifetimes.push(seconds) })
  const response = await auth.login('/login', ada)
  const { access_token: token } = await response.json() as { access_token: string }
  t.equal((await auth.fetch('/me')).status, 200)
  t.equal((await auth.fetch(`${origin}/me`)).status, 200)
  t.equal((await auth.fetch(new URL('/me', origin))).status, 200)
  t.equal(seen.at(-1)?.authorization, `Bearer ${token}`)
  t.equal(await auth.accessToken(), token)
  t.strictSame(lifetimes, [1800])
  t.strictSame(calls(), ['/login 200', '/me 200', '/me 200', '/me 200'])
})

t.test('a login that gives no tokens is handed back as it is', async (t) => {
  const { open, network, calls } = await start(t)
  const auth = open()
  network.send = async () => new Response('<h1>Bad Gateway</h1>', { status: 502 })
  t.equal(await (await auth.login('/login', ada)).text(), '<h1>Bad Gateway</h1>')
  network.send = async () => Response.json({ code: 'ONE_TIME_PASSWORD' })
  t.strictSame(await (await auth.login('/login', ada)).json(), { code: 'ONE_TIME_PASSWORD' })
  t.strictSame(calls(), [])
})

t.test('a page that loads finds its session by the cookie', async (t) => {
  const { open, calls } = await start(t)
  const before = open()
  t.equal(await before.restore(), false)
  await before.login('/login', ada)
  const reloaded = open()
  t.equal(await reloaded.restore(), true)
  t.equal(await reloaded.restore(), true, 'which is known from then on')
  t.equal((await reloaded.fetch('/me')).status, 200)
  t.strictSame(calls(), ['/auth/refresh 401', '/login 200', '/auth/refresh 200', '/me 200'])
})

t.test('a prefix may end in a slash', async (t) => {
  const { open, origin, calls } = await start(t)
  const auth = open({ prefix: `${origin}/auth/` })
  await auth.restore()
  t.strictSame(calls(), ['/auth/refresh 401'])
})

t.test('the first request restores the session by itself', async (t) => {
  const { open, calls } = await start(t)
  await open().login('/login', ada)
  const auth = open()
  t.equal((await auth.fetch('/me')).status, 200)
  const stranger = await start(t)
  t.equal((await stranger.open().fetch('/me')).status, 401)
  t.strictSame(calls(), ['/login 200', '/auth/refresh 200', '/me 200'])
  t.strictSame(stranger.calls(), ['/auth/refresh 401', '/me 401'])
})

t.test('shortly before it runs out, the token is renewed and nobody waits', async (t) => {
  const { open, wait, seen } = await start(t)
  const renewed = signal()
  let tokens = 0
  const auth = open({ onToken: () => { if (++tokens === 2) renewed.done() } })
  await auth.login('/login', ada)
  const token = await auth.accessToken()
  wait(23 * minute)
  t.equal((await auth.fetch('/me')).status, 200)
  await renewed.reached
  t.equal(seen.find(({ path }) => path === '/me')?.authorization, `Bearer ${token}`)
  t.equal(seen.filter(({ path }) => path === '/auth/refresh').length, 1)
  t.not(await auth.accessToken(), token)
})

t.test('a renewal that nobody waits for may fail', async (t) => {
  const { open, wait, network, send, calls } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  wait(23 * minute)
  network.send = async (request) => {
    if (request.url.endsWith('/refresh')) throw new TypeError('fetch failed')
    return await send(request)
  }
  t.equal((await auth.fetch('/me')).status, 200)
  t.equal((await auth.fetch('/me')).status, 200)
  t.strictSame(calls(), ['/login 200', '/me 200', '/me 200'])
})

t.test('what comes when the token has run out waits for one refresh', async (t) => {
  const { open, wait, calls } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  wait(31 * minute)
  const responses = await Promise.all([auth.fetch('/me'), auth.fetch('/me'), auth.fetch('/me'), auth.restore()])
  t.match(responses, [{ status: 200 }, { status: 200 }, { status: 200 }, true])
  t.strictSame(calls(), ['/login 200', '/auth/refresh 200', '/me 200', '/me 200', '/me 200'])
})

t.test('a 401 has the token renewed and the request repeated, once', async (t) => {
  const { open, clock, calls, network, send } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  clock.pass(31 * minute)
  const responses = await Promise.all([auth.fetch('/me'), auth.fetch('/me')])
  t.match(responses, [{ status: 200 }, { status: 200 }])
  t.strictSame(calls(), ['/login 200', '/me 401', '/me 401', '/auth/refresh 200', '/me 200', '/me 200'])
  network.send = async (request) => request.url.endsWith('/me') ? new Response('no', { status: 401 }) : await send(request)
  t.equal(await (await auth.fetch('/me')).text(), 'no')
  t.strictSame(calls(), ['/auth/refresh 200'], 'and then the 401 is handed on')
})

t.test('a straggler whose token has been renewed meanwhile does not renew it again', async (t) => {
  const { open, clock, calls, network, send } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  clock.pass(31 * minute)
  const late = signal()
  network.send = async (request) => {
    network.send = send
    const response = await send(request)
    await late.reached
    return response
  }
  const straggler = auth.fetch('/me')
  t.equal((await auth.fetch('/me')).status, 200)
  late.done()
  t.equal((await straggler).status, 200)
  t.strictSame(calls().filter((call) => call.startsWith('/auth')), ['/auth/refresh 200'])
})

t.test('an outage fails requests, but ends nothing and causes no storm', async (t) => {
  const { open, wait, network, send, calls } = await start(t)
  let ended = 0
  const auth = open({ onSessionEnd: () => ended++ })
  await auth.login('/login', ada)
  wait(31 * minute)
  const outages: [Response | undefined, object, number][] = [
    [undefined, { wait: 1 }, 1],
    [new Response('', { status: 503, headers: { 'retry-after': '7' } }), { status: 503, wait: 7 }, 7],
    [new Response('', { status: 429 }), { status: 429, wait: 1 }, 1],
    [new Response('<h1>Pay for the Wi-Fi</h1>'), { wait: 1 }, 1]
  ]
  for (const [answer, cause, seconds] of outages) {
    let asked = 0
    network.send = async () => {
      asked++
      if (answer === undefined) throw new TypeError('fetch failed')
      return answer.clone()
    }
    await t.rejects(auth.fetch('/me'), { message: 'refresh failed', cause })
    await t.rejects(auth.accessToken(), { cause })
    pass((seconds - 0.5) * 1000)
    await t.rejects(auth.fetch('/me'), { cause })
    t.equal(asked, 1, 'it cools down')
    pass(1000)
  }
  network.send = send
  t.equal((await auth.fetch('/me')).status, 200)
  t.equal(ended, 0)
  t.strictSame(calls(), ['/login 200', '/auth/refresh 200', '/me 200'])
})

t.test('whether there is a session is left open during an outage', async (t) => {
  const { open, network, send, wait } = await start(t)
  await open().login('/login', ada)
  const auth = open()
  network.send = async () => new Response('', { status: 500 })
  await t.rejects(auth.restore(), { cause: { status: 500 } })
  wait(1000)
  network.send = send
  t.equal(await auth.restore(), true)
})

t.test('a refresh that hangs is given up', async (t) => {
  const { open, network, wait } = await start(t)
  const awake = setInterval(() => {}, 100) // Node does not stay awake for a timeout's sake.
  t.teardown(async () => { clearInterval(awake) })
  const auth = open({ timeout: 0.05 })
  await auth.login('/login', ada)
  wait(31 * minute)
  network.send = async ({ signal }) => await new Promise((_resolve, reject) => { signal.onabort = () => reject(signal.reason) })
  await t.rejects(auth.fetch('/me'), { message: 'refresh failed' })
})

t.test('a request that is aborted waits for nothing, and takes nobody along', async (t) => {
  const { open, network, send, wait } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  wait(31 * minute)
  const held = signal()
  network.send = async (request) => {
    await held.reached
    return await send(request)
  }
  const controller = new AbortController()
  const one = auth.fetch('/me', { signal: controller.signal })
  const other = auth.fetch('/me')
  controller.abort(new Error('the user left'))
  await t.rejects(one, { message: 'the user left' })
  held.done()
  t.equal((await other).status, 200)
  await t.rejects(auth.fetch('/me', { signal: AbortSignal.abort(new Error('before')) }), { message: 'before' })
})

t.test('other origins never see the token, and a header of the application\'s own stays', async (t) => {
  const { open, seen, origin, network } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  const headers: (string | null)[] = []
  network.send = async (request) => {
    headers.push(request.headers.get('authorization'))
    return new Response()
  }
  await auth.fetch('https://elsewhere.test/me')
  await auth.fetch(`${origin}.evil.test/me`)
  await auth.fetch(`${origin}:8080/me`)
  await auth.fetch('/me', { headers: { authorization: 'Basic YTpi' } })
  t.strictSame(headers, [null, null, null, 'Basic YTpi'])
  t.equal(seen.length, 1)
})

t.test('bodies of all kinds survive the repeat', async (t) => {
  const { open, origin, clock, calls } = await start(t, {
    extend: (app) => {
      app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
      app.post('/echo', { onRequest: app.authenticate }, async ({ body }) => body)
    }
  })
  const auth = open()
  await auth.login('/login', ada)
  const method = 'POST'
  const stream = () => new Blob(['a stream']).stream()
  const requests: [string | Request, RequestInit?][] = [
    ['/echo', { method, body: 'text' }],
    ['/echo', { method, body: stream(), duplex: 'half' }],
    [new Request(`${origin}/echo`, { method, body: 'a request' })],
    [new Request(`${origin}/echo`, { method, body: stream(), duplex: 'half' })]
  ]
  const echoes = []
  for (const [input, init] of requests) {
    clock.pass(31 * minute)
    echoes.push(await (await auth.fetch(input, init)).text())
  }
  t.strictSame(echoes, ['text', 'a stream', 'a request', 'a stream'])
  t.equal(calls().filter((call) => call === '/auth/refresh 200').length, 4)

  const used = new Request(`${origin}/echo`, { method, body: 'once' })
  await used.text()
  await t.rejects(auth.fetch(used), TypeError, 'a body that has been read is refused, as fetch does')
})

t.test('the client stays under 1.5 kB', async (t) => {
  const { outputFiles: [file] } = await bundle({ entryPoints: ['lib/client/client.mts'], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false })
  const size = gzipSync(file?.contents ?? '', { level: 9 }).length
  t.comment(`${size} bytes, minified and gzipped`)
  t.ok(size > 1000 && size < 1500)
})
