import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import type { FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { MemoryStore, type Secret } from '../lib/index'
import { minute, second, TestClock } from './support/app'
import { DpopApp } from './support/dpop/app'
import { code, refused, serve } from './support/dpop/serve'
import { observe } from './support/events'
import { signJws } from './support/proofs'
import { redisFor } from './support/servers/redis'

/** A phone at one node, which goes on at another with the same key, tokens and nonce. */
function move (phone: DpopApp, { app }: Awaited<ReturnType<typeof serve>>, now: () => number) {
  const { device, nonce, refreshToken, accessToken, tokenType, transport } = phone
  const moved = new DpopApp(app, now, device)
  return Object.assign(moved, { nonce, refreshToken, accessToken, tokenType, transport })
}

t.test('a device whose clock is ten minutes off logs in, refreshes and asks', async (t) => {
  for (const off of [-10 * minute, 10 * minute]) {
    for (const transport of ['cookie', 'body'] as const) {
      const { app, clock } = await serve(t, { accessToken: { bound: true } })
      const phone = new DpopApp(app, () => clock.ms + off)
      phone.transport = transport
      /** Repeats once by the nonce of the answer, as every client does. */
      const twice = async (step: () => Promise<{ statusCode: number, json: () => unknown }>) => {
        const first = await step()
        if (first.statusCode === 200) return 'at once'
        t.equal(code(first), 'DPOP_NONCE_REQUIRED')
        return (await step()).statusCode === 200 ? 'by a nonce' : 'not at all'
      }
      t.equal(await twice(async () => await phone.login()), 'by a nonce')
      t.equal(await twice(async () => await phone.refresh()), 'at once')
      clock.pass(6 * minute)
      t.equal(await twice(async () => await phone.refresh()), 'by a nonce')
      t.equal(await twice(async () => await phone.me()), 'at once')
      clock.pass(6 * minute)
      t.equal(await twice(async () => await phone.me()), 'by a nonce')
    }
  }
})

t.test('nodes whose clocks disagree judge proofs by the clock of the store', async (t) => {
  const redis = await redisFor(t)
  const own = Date.now
  let off = 0
  t.teardown(() => { Date.now = own })
  Date.now = () => own() + off
  const nodes = []
  for (const minutes of [0, 10, -10]) {
    off = minutes * minute
    nodes.push(await serve(t, { redis: redis.client(), accessToken: { bound: true } }))
  }
  off = 0
  let [phone] = nodes.map(({ phone }) => phone) as [DpopApp]
  phone.transport = 'body'
  t.equal((await phone.login()).statusCode, 200)
  for (const [i, node] of [...nodes, ...nodes].entries()) {
    off = [0, 10, -10][i % 3] as number * minute
    phone = move(phone, node, own)
    t.equal((await phone.refresh()).statusCode, 200, `node ${i}`)
    t.equal((await phone.me()).statusCode, 200)
    t.equal((await phone.me('/me', { nonce: undefined })).statusCode, 200, 'by iat')
  }
})

t.test('while a ring changes, each node takes the nonces and tokens of every other', async (t) => {
  const [older, newer] = [0, 1].map(() => randomBytes(32)) as [Buffer, Buffer]
  const rings: Secret[][] = [[older], [older, newer], [newer, older]]
  const clock = new TestClock()
  const store = new MemoryStore(clock)
  const nodes = []
  for (const secret of rings) nodes.push(await serve(t, { secret, store }))
  const [, ...ready] = nodes
  let [{ phone }] = nodes as [Awaited<ReturnType<typeof serve>>]
  phone = move(phone, nodes[0] as Awaited<ReturnType<typeof serve>>, clock.now)
  phone.transport = 'body'
  await phone.login()
  for (const node of [...ready, ...ready, ...ready.reverse()]) {
    phone = move(phone, node, clock.now)
    t.equal((await phone.refresh()).statusCode, 200)
    clock.pass(second)
  }
  const stranger = move(phone, await serve(t, { store }), clock.now)
  t.equal(code(await stranger.refresh()), 'REFRESH_TOKEN_INVALID')
})

t.test('while the time of the store is not known, a proof is judged by this clock', async (t) => {
  const clock = new TestClock()
  clock.ms = Date.now()
  const store = new MemoryStore(clock)
  let isKnown = true
  const proxy = new Proxy(store, {
    get: (target, name) => {
      if (name === 'now') return () => isKnown ? target.now() : undefined
      const value = target[name as keyof MemoryStore] as unknown
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
  const { phone, app } = await serve(t, { store: proxy })
  const held = move(phone, { app } as Awaited<ReturnType<typeof serve>>, clock.now)
  await held.login()
  isKnown = false
  t.equal((await held.refresh()).statusCode, 200)
  refused(t, await held.refresh(null), 400, 'DPOP_PROOF_MISSING')
})

/** An application that listens, and a phone that proves the URL in which it believes. */
async function dial (t: Test, server: FastifyServerOptions, believed?: string) {
  const accessToken = { bound: true }
  const { app, holder } = await serve(t, { store: new MemoryStore(), server, accessToken })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const phone = holder()
  const prove = (method: string, path: string, more: object = {}) => {
    const htu = `${believed ?? origin}${path}`
    return phone.prove(method, path, { htu, iat: Date.now() / 1000, ...more })
  }
  return { origin, phone, prove }
}

interface Response {
  status: number
  body: { access_token: string, refresh_token: string, sid: string }
  nonce: string | undefined
}

type Send = (
  method: string, path: string, headers: Record<string, string>, body?: object
) => Promise<Response>

const overHttp1 = (origin: string): Send => async (method, path, headers, body) => {
  const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) }
  const response = await fetch(`${origin}${path}`, init)
  const nonce = response.headers.get('dpop-nonce') ?? undefined
  return { status: response.status, body: await response.json() as Response['body'], nonce }
}

function overHttp2 (t: Test, origin: string): Send {
  const session = connect(origin)
  t.teardown(() => session.close())
  return async (method, path, headers, body) => {
    const stream = session.request({ ':method': method, ':path': path, ...headers })
    const head = once(stream, 'response')
    stream.end(body === undefined ? undefined : JSON.stringify(body))
    const [{ ':status': status, 'dpop-nonce': nonce }] = await head
    return { status, body: JSON.parse(await text(stream)) as Response['body'], nonce }
  }
}

for (const http2 of [false, true]) {
  t.test(`over HTTP/${http2 ? 2 : 1}, login, refresh and guard take proofs`, async (t) => {
    const { origin, phone, prove } = await dial(t, { http2 } as FastifyServerOptions)
    const send = http2 ? overHttp2(t, origin) : overHttp1(origin)
    const json = { 'content-type': 'application/json' }
    const post = async (path: string, body: object, more: object = {}) =>
      await send('POST', path, { ...json, dpop: prove('POST', path, more) }, body)
    const options = { transport: 'body' }
    const login = await post('/login', { claims: { sub: 'ada' }, options })
    t.equal(login.status, 200)
    const { nonce } = login
    const token = { refresh_token: login.body.refresh_token }
    t.equal((await post('/auth/refresh', token)).status, 400, 'without a nonce')
    const refresh = await post('/auth/refresh', token, { nonce })
    t.equal(refresh.status, 200)
    phone.accessToken = refresh.body.access_token
    const authorization = `DPoP ${phone.accessToken}`
    const dpop = prove('GET', '/me', { ath: phone.ath })
    t.equal((await send('GET', '/me?a=1', { authorization, dpop })).status, 200)
    t.equal((await send('GET', '/me', { authorization, dpop })).status, 401, 'a replay')
  })
}

t.test('behind a proxy the URL is what trustProxy says', async (t) => {
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example' }
  const believed = 'https://api.example'
  for (const trustProxy of [true, false]) {
    const { origin, prove } = await dial(t, { trustProxy }, believed)
    const response = await fetch(`${origin}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', dpop: prove('POST', '/login'), ...forwarded },
      body: JSON.stringify({ claims: { sub: 'ada' } })
    })
    t.equal(response.status, trustProxy ? 200 : 400)
    const { message } = await response.json() as { message?: string }
    t.equal(message, trustProxy ? undefined : 'The DPoP proof is invalid')
  }
})

t.test('whatever 3,000 requests bring, no answer is 5xx and nothing is spent', async (t) => {
  const { app, phone, now, holder } = await serve(t, { accessToken: { bound: true } })
  await phone.login()
  const good = phone.prove('POST', '/auth/refresh')
  const parts = good.split('.')
  const before = await app.sessions.list('ada')
  const events = observe(t)
  const { privateKey } = holder().device
  const json = fc.oneof(fc.object(), fc.json(), fc.constant(phone.device.jwk))
  const signed = fc.tuple(json, json).map(([header, payload]) =>
    signJws({ typ: 'dpop+jwt', alg: 'ES256', jwk: phone.device.jwk, ...header as object },
      { htm: 'POST', iat: now() / 1000, ...payload as object }, privateKey))
  const mutated = fc.tuple(fc.nat(good.length - 20), fc.string({ minLength: 1, maxLength: 1 }))
    .map(([at, by]) => good.slice(0, at) + by + good.slice(at + 1))
  const joined = fc.array(fc.oneof(fc.constantFrom(...parts), fc.string()), { maxLength: 5 })
    .map((list) => list.join('.'))
  const printable = fc.string({ unit: 'binary-ascii', maxLength: 5000 })
  const anyProof = fc.oneof(signed, mutated, joined, printable, fc.constant(undefined))
    .filter((proof) => proof !== good)
    // What no HTTP parser lets through.
    .map((proof) => proof?.replace(/[^\x20-\x7e]/g, '-'))
  const where = fc.constantFrom('/auth/refresh', '/login', '/auth/logout', '/me')
  const { refreshToken, accessToken } = phone

  await fc.assert(fc.asyncProperty(anyProof, where, async (dpop, url) => {
    const response = await app.inject({
      method: url === '/me' ? 'GET' : 'POST',
      url,
      headers: {
        cookie: `__Host-refresh_token=${refreshToken}`,
        authorization: url === '/me' ? `DPoP ${accessToken}` : 'Basic YTpi',
        ...dpop === undefined ? {} : { dpop }
      },
      ...url === '/me' ? {} : { payload: bodyOf(url) }
    })
    t.ok(response.statusCode === 400 || response.statusCode === 401, response.body) ||
      t.comment(dpop)
  }), { numRuns: 3000 })

  t.strictSame(await app.sessions.list('ada'), before)
  t.strictSame([...new Set(events().map(([name]) => name))], ['unproven'])
  t.equal((await phone.refresh()).statusCode, 200)
})

const bodyOf = (url: string): object => {
  if (url === '/login') return { claims: { sub: 'ada' }, options: { bound: true } }
  return url === '/auth/logout' ? { all: true } : {}
}
