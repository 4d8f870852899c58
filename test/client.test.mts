import { gzipSync } from 'node:zlib'
import { build as bundle } from 'esbuild'
import t from 'tap'
import helpers from './support/app.js'
import { draw, pass, setClock, signal, start } from './support/tab.mjs'

const { minute } = helpers
const ada = { claims: { sub: 'ada' } }

/** Lets everything that is ready happen. */
const turn = async () => {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => { setImmediate(resolve) })
}

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

t.test('relative URLs are those of the origin of the prefix', async (t) => {
  const { open, origin, network } = await start(t)
  const asked: string[] = []
  network.send = async ({ url }) => {
    asked.push(url)
    return Response.json({ code: 'REFRESH_TOKEN_MISSING' }, { status: 401 })
  }
  const urls = ['/me', 'me', '?page=2', '//elsewhere.test/me', 'https://elsewhere.test/me']
  const own = open()
  for (const url of urls) await own.fetch(url)
  t.strictSame(asked.splice(0), [
    `${origin}/auth/refresh`, `${origin}/me`, `${origin}/me`, `${origin}/page?page=2`,
    'http://elsewhere.test/me', 'https://elsewhere.test/me'
  ])
  const api = 'https://api.example.com'
  const foreign = open({ prefix: `${api}/v1/auth` })
  for (const url of urls) await foreign.fetch(url)
  await foreign.login('/login')
  t.strictSame(asked, [
    `${api}/v1/auth/refresh`, `${api}/me`, `${api}/me`, `${api}/?page=2`,
    'http://elsewhere.test/me', 'https://elsewhere.test/me', `${api}/login`
  ])
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

t.test('before it runs out, the token is renewed and nobody waits', async (t) => {
  const { open, wait, seen } = await start(t)
  draw(t, 0.5) // at 75 % of its life
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

t.test('each token is renewed at a moment drawn for it, at 60 to 90 % of its life', async (t) => {
  const { open, wait, calls } = await start(t)
  const renewed = [signal(), signal(), signal(), signal()]
  let tokens = 0
  const auth = open({ onToken: () => renewed[tokens++]?.done() })
  draw(t, 1)
  await auth.login('/login', ada)
  for (const [i, { next, early, late }] of [
    { early: 17.9, late: 18.1, next: 0 },
    { early: 26.9, late: 27.1, next: 0.5 },
    { early: 22.4, late: 22.6, next: 1 }
  ].entries()) {
    draw(t, next)
    calls()
    wait(early * minute)
    await auth.accessToken()
    await turn()
    t.strictSame(calls(), [], `not after ${early} minutes of 30`)
    wait((late - early) * minute)
    await auth.accessToken()
    await renewed[i + 1]?.reached
    await turn()
    t.strictSame(calls(), ['/auth/refresh 200'], `but after ${late}`)
  }
})

t.test('a token whose end either clock has passed is not handed out', async (t) => {
  const { open, clock, calls, network, send } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  const first = await auth.accessToken()
  clock.pass(31 * minute)
  pass(31 * minute)
  const second = await auth.accessToken()
  t.not(second, first, 'the clock that counts')
  clock.pass(31 * minute)
  setClock(t, 31 * minute)
  const third = await auth.accessToken()
  t.not(third, second, 'the clock on the wall, when the machine was asleep')
  t.strictSame(calls(), ['/login 200', '/auth/refresh 200', '/auth/refresh 200'])

  setClock(t, -60 * minute)
  clock.pass(31 * minute)
  pass(31 * minute)
  network.send = async () => { throw new TypeError('fetch failed') }
  const failed = { message: 'refresh failed' }
  await t.rejects(auth.accessToken(), failed, 'a wall clock that is set back')
  pass(1000)
  network.send = async (request) => {
    pass(31 * minute)
    return await send(request)
  }
  await t.rejects(auth.accessToken(), failed, 'an answer that took too long')
})

t.test('a tab that was frozen does not take an old token for a new one', async (t) => {
  const { open, wait, calls } = await start(t)
  const { BroadcastChannel } = globalThis
  t.teardown(async () => { Object.assign(globalThis, { BroadcastChannel }) })
  const late: Array<() => void> = []
  const channels: Channel[] = []
  class Channel {
    onmessage?: (event: { data: unknown }) => void
    constructor () { channels.push(this) }
    postMessage (data: unknown) {
      const others = channels.filter((other) => other !== this)
      late.push(...others.map((other) => () => other.onmessage?.({ data })))
    }
  }
  Object.assign(globalThis, { BroadcastChannel: Channel })
  const [here, frozen] = [open(), open()]
  await here.login('/login', ada)
  wait(29 * minute)
  for (const arrive of late) arrive()
  calls()
  wait(2 * minute)
  t.ok(await frozen.accessToken())
  t.strictSame(calls(), ['/auth/refresh 200'])
})

t.test('refresh renews at once, and finds out whether there is a session', async (t) => {
  const { open, clock, calls, network, send } = await start(t)
  const auth = open()
  t.equal(await auth.refresh(), false)
  await auth.login('/login', ada)
  const token = await auth.accessToken()
  clock.pass(1000)
  t.equal(await auth.refresh(), true)
  t.not(await auth.accessToken(), token)
  t.strictSame(calls(), ['/auth/refresh 401', '/login 200', '/auth/refresh 200'])

  const answered = signal()
  network.send = async (request) => {
    network.send = send
    const response = await send(request)
    await answered.reached
    return response
  }
  const first = auth.refresh()
  await turn()
  const second = auth.refresh()
  const third = auth.refresh()
  answered.done()
  t.strictSame(await Promise.all([first, second, third]), [true, true, true])
  t.strictSame(calls(), ['/auth/refresh 200', '/auth/refresh 200'], 'not by what was asked before')
  network.send = async () => new Response('', { status: 503 })
  await t.rejects(auth.refresh(), { message: 'refresh failed', cause: { status: 503 } })
})

t.test('a login needs no body', async (t) => {
  const { open, calls } = await start(t, {
    extend: (app) => {
      app.post('/guest', async (_request, reply) => reply.login({ sub: 'guest' }))
    }
  })
  const auth = open()
  t.equal((await auth.login('/guest')).status, 200)
  t.equal((await auth.fetch('/me')).status, 200)
  t.strictSame(calls(), ['/guest 200', '/me 200'])
})

t.test('a 401 that asks for a fresh login is not repeated', async (t) => {
  const { open, clock, calls } = await start(t, {
    extend: (app) => {
      const options = { maxAge: '5m' }
      app.get('/fresh', { onRequest: (request) => request.authenticate(options) }, async () => '')
    }
  })
  const auth = open()
  await auth.login('/login', ada)
  clock.pass(6 * minute)
  t.equal((await auth.fetch('/fresh')).status, 401)
  t.strictSame(calls(), ['/login 200', '/fresh 401'])
})

t.test('a renewal that nobody waits for may fail', async (t) => {
  const { open, wait, network, send, calls } = await start(t)
  draw(t, 0.5)
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
  const asked = [auth.fetch('/me'), auth.fetch('/me'), auth.fetch('/me'), auth.restore()]
  const responses = await Promise.all(asked)
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
  t.strictSame(calls(),
    ['/login 200', '/me 401', '/me 401', '/auth/refresh 200', '/me 200', '/me 200'])
  network.send = async (request) =>
    request.url.endsWith('/me') ? new Response('no', { status: 401 }) : await send(request)
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
  const after = (seconds: string) =>
    new Response('', { status: 503, headers: { 'retry-after': seconds } })
  const page = '<h1>Pay for the Wi-Fi</h1>'
  const sorry = '<h1>401, as the proxy says</h1>'
  const leak = Response.json({ code: 'REFRESH_TOKEN_SECRET is not set' }, { status: 500 })
  const jwt = Response.json({ code: 'FST_JWT_AUTHORIZATION_TOKEN_EXPIRED' }, { status: 401 })
  const outages: Array<[Response | undefined, object, number]> = [
    [undefined, { wait: 1 }, 1],
    [after('7'), { status: 503, wait: 7 }, 7],
    [after('86400'), { status: 503, wait: 60 }, 60],
    [after('Wed, 21 Oct 2026 07:28:00 GMT'), { status: 503, wait: 1 }, 1],
    [after('-5'), { status: 503 }, -5],
    [new Response('', { status: 429 }), { status: 429, wait: 1 }, 1],
    [new Response(page), { status: 200, wait: 1 }, 1],
    [new Response(sorry, { status: 401 }), { status: 401, wait: 1 }, 1],
    [leak, { status: 500, wait: 1 }, 1],
    [jwt, { status: 401, wait: 1 }, 1],
    [Response.json({}), { status: 200, wait: 1 }, 1],
    [Response.json(null), { status: 200, wait: 1 }, 1],
    [Response.json({ access_token: 'a.b.c' }), { status: 200, wait: 1 }, 1],
    [Response.json({ access_token: 'a.b.c', expires_in: 0 }), { status: 200, wait: 1 }, 1],
    [new Response('CROSS_ORIGIN_REQUEST', { status: 403 }), { status: 403, wait: 1 }, 1],
    [Response.redirect('https://elsewhere.test/', 307), { status: 307, wait: 1 }, 1]
  ]
  for (const [answer, cause, seconds] of outages) {
    calls()
    let asked = 0
    network.send = async () => {
      asked++
      if (answer === undefined) throw new TypeError('fetch failed')
      return answer.clone()
    }
    await t.rejects(auth.fetch('/me'), { message: 'refresh failed', cause })
    const times = asked
    t.ok(times === 1 || (answer === undefined && times === 2), 'once more where nothing answered')
    if (seconds > 0) {
      await t.rejects(auth.accessToken(), { cause })
      pass((seconds - 0.5) * 1000)
      await t.rejects(auth.fetch('/me'), { cause })
      t.equal(asked, times, 'it cools down')
      pass(1000)
    }
  }
  network.send = send
  t.equal((await auth.fetch('/me')).status, 200)
  t.equal(ended, 0)
  t.strictSame(calls(), ['/auth/refresh 200', '/me 200'])
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
  network.send = async () => await new Promise(() => {})
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
  const before = AbortSignal.abort(new Error('before'))
  await t.rejects(auth.fetch('/me', { signal: before }), { message: 'before' })
})

t.test('other origins never see the token, and an application\'s own header stays', async (t) => {
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
      const parser = async (_request: unknown, body: unknown) => body
      app.addContentTypeParser('*', { parseAs: 'string' }, parser)
      app.post('/echo', { onRequest: app.authenticate }, async ({ body }) => body)
    }
  })
  const auth = open()
  await auth.login('/login', ada)
  const method = 'POST'
  const stream = () => new Blob(['a stream']).stream()
  const requests: Array<[string | Request, RequestInit?]> = [
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
  await t.rejects(auth.fetch(used), TypeError, 'as fetch refuses a body that has been read')
})

t.test('a request that is aborted while its 401 has the token renewed rejects', async (t) => {
  const { open, clock, network, send } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  clock.pass(31 * minute)
  const controller = new AbortController()
  const held = signal()
  network.send = async (request) => {
    if (!request.url.endsWith('/refresh')) return await send(request)
    controller.abort(new Error('the user left'))
    await held.reached
    return await send(request)
  }
  await t.rejects(auth.fetch('/me', { signal: controller.signal }), { message: 'the user left' })
  held.done()
  t.equal((await auth.fetch('/me')).status, 200)
})

t.test('the client stays under 2 kB', async (t) => {
  const { outputFiles: [file] } = await bundle({
    entryPoints: ['lib/client/client.mts'],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false
  })
  const size = gzipSync(file?.contents ?? '', { level: 9 }).length
  t.comment(`${size} bytes, minified and gzipped`)
  t.ok(size > 1000 && size <= 2000)
})
