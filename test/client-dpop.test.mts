import 'fake-indexeddb/auto'
import { generateKeyPairSync, sign } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { build as bundle } from 'esbuild'
import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import dpopNonces from '../lib/binding/dpop/nonces.js'
import dpopProof from '../lib/binding/dpop/proof.js'
import dpopReplays from '../lib/binding/dpop/replays.js'
import { createClient } from '../lib/client/client.mjs'
import { dpopFetch, type DeviceKey } from '../lib/client/dpop.mjs'
import helpers from './support/app.js'
import browser from './support/browser/chromium.js'
import proofs from './support/proofs.js'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

declare const indexedDB: {
  open (name: string): unknown
  deleteDatabase (name: string): { onsuccess: unknown }
}

interface Seen {
  path: string
  dpop: string | undefined
  authorization: string | undefined
  body: unknown
  status: number
}

const token = (claims: object): string =>
  `e30.${Buffer.from(JSON.stringify({ sid: 's', sub: 'ada', ...claims })).toString('base64url')}.x`

/** Bundles an entry of the client as an application would. */
async function build (entry: string, minify = false) {
  const { outputFiles: [file] } = await bundle({
    entryPoints: [entry], bundle: true, minify, format: 'esm', target: 'es2022', write: false
  })
  return Buffer.from(file?.contents ?? '')
}

/**
 * A server that reads proofs as the plugin does: at `/login`, at `/auth/*` with a nonce only, and
 * at `/me` with the `ath` of the token.
 */
async function serve (t: Teardown, accessToken = token({})) {
  const clock = { behind: 0, now: () => Date.now() - clock.behind }
  const nonces = dpopNonces.createNonces([Buffer.alloc(32, 1)])
  const read = dpopProof.createReadProof(nonces, clock.now)
  const replays = dpopReplays.createReplays()
  const app = Fastify()
  const seen: Seen[] = []
  const prove = (request: FastifyRequest, demand?: Parameters<typeof read>[1]): string => {
    const proof = read(request, demand)
    if (!replays.record(proof)) throw new Error('a replay')
    return proof.jkt
  }
  app.addHook('onError', async (_request, reply, error) => {
    reply.headers((error as { headers?: Record<string, string> }).headers ?? {})
  })
  app.addHook('onResponse', async ({ url, headers, body }, { statusCode: status }) => {
    const { dpop, authorization } = headers as Record<string, string | undefined>
    if (url === '/' || url === '/dpop.js') return
    seen.push({ path: url, dpop, authorization, body, status })
  })
  const tokens = { access_token: accessToken, expires_in: 60 }
  app.post('/login', async (request) => ({ ...tokens, jkt: prove(request) }))
  app.post('/auth/*', async (request, reply) => {
    reply.header('dpop-nonce', nonces.current(clock.now()))
    return { ...tokens, jkt: prove(request, { nonce: true }) }
  })
  app.get('/me', async (request) => {
    const [scheme, sent] = request.headers.authorization?.split(' ') ?? []
    if (scheme !== 'DPoP') return { scheme }
    return { scheme, jkt: prove(request, { status: 401, accessToken: sent }) }
  })
  app.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html>'))
  app.get('/dpop.js', async (_request, reply) =>
    reply.type('text/javascript').send(await build('lib/client/dpop.mts')))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  const { port } = app.server.address() as AddressInfo
  const origin = `http://localhost:${port}`
  return {
    clock,
    origin,
    prefix: `${origin}/auth`,
    seen,
    calls: () => seen.splice(0).map(({ path, status }) => `${path} ${status}`)
  }
}

/** A key as an application's key store has it: `sign` needs its `this`. */
function createKey () {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const store = {
    jwk: publicKey.export({ format: 'jwk' }),
    signed: 0,
    sign (data: Uint8Array) {
      this.signed++
      return sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    }
  }
  return store satisfies DeviceKey
}

const json = async (response: Response) => await response.json() as Record<string, string>

t.test('logins and what goes to the plugin carry a proof, bearer tokens none', async (t) => {
  const { prefix, origin, seen, calls } = await serve(t)
  const auth = createClient({ prefix, fetch: dpopFetch({ prefix }) })
  const { jkt } = await json(await auth.login(`${origin}/login`, {}))
  t.match(jkt, /^[\w-]{43}$/)
  t.strictSame(await json(await auth.fetch(`${origin}/me?x=1`)), { scheme: 'Bearer' })
  t.equal(seen.at(-1)?.dpop, undefined)
  t.equal((await auth.logout()).status, 200)
  t.strictSame(calls(), ['/login 200', '/me?x=1 200', '/auth/logout 400', '/auth/logout 200'])
})

t.test('a nonce that the server demands is taken, and kept for what follows', async (t) => {
  const { prefix, calls, seen } = await serve(t)
  const send = dpopFetch({ prefix: `${prefix}/` })
  const body = 'a body to be sent twice'
  const headers = { 'content-type': 'text/plain' }
  t.equal((await send(`${prefix}/refresh`, { method: 'POST', body, headers })).status, 200)
  t.strictSame(seen.map((request) => request.body), [body, body])
  t.equal((await send(`${prefix}/refresh`, { method: 'POST' })).status, 200)
  t.strictSame(calls(), ['/auth/refresh 400', '/auth/refresh 200', '/auth/refresh 200'])
})

t.test('a device whose clock is wrong logs in by a nonce', async (t) => {
  const { prefix, origin, clock, calls } = await serve(t)
  clock.behind = 3_600_000
  t.equal((await dpopFetch({ prefix })(`${origin}/login`, { method: 'POST' })).status, 200)
  t.strictSame(calls(), ['/login 400', '/login 200'])
})

t.test('a request is repeated once, whatever the server says then', async (t) => {
  const { prefix } = await serve(t)
  let sent = 0
  const send = dpopFetch({
    prefix,
    fetch: async () => {
      sent++
      const headers = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'x' }
      return new Response(null, { status: 400, headers })
    }
  })
  t.equal((await send(`${prefix}/refresh`, { method: 'POST' })).status, 400)
  t.equal(sent, 2)
})

t.test('other refusals are not repeated', async (t) => {
  const { prefix, origin, calls } = await serve(t)
  const key = { ...createKey(), sign: () => new Uint8Array(64) }
  const response = await dpopFetch({ prefix, key })(`${origin}/login`, { method: 'POST' })
  t.equal(response.status, 400)
  t.match(await response.json(), { code: 'DPOP_PROOF_INVALID' })
  t.strictSame(calls(), ['/login 400'])
})

t.test('a bound access token is presented as DPoP, with a proof that is made for it', async (t) => {
  const bound = token({ cnf: { jkt: 'x' } })
  const { prefix, origin, seen } = await serve(t, bound)
  const auth = createClient({ prefix, fetch: dpopFetch({ prefix }) })
  const { jkt } = await json(await auth.login(`${origin}/login`, {}))
  t.strictSame(await json(await auth.fetch(`${origin}/me`)), { scheme: 'DPoP', jkt })
  t.equal((await auth.logout()).status, 200)
  t.equal(seen.at(-1)?.authorization, `DPoP ${bound}`)
})

t.test('other origins, and other ways to authenticate, are left alone', async (t) => {
  const { prefix, origin } = await serve(t)
  const foreign = await serve(t)
  const send = dpopFetch({ prefix })
  await send(`${foreign.origin}/login`, { method: 'POST' })
  await send(`${foreign.origin}/me`, { headers: { authorization: `Bearer ${token({ cnf: {} })}` } })
  t.strictSame(foreign.seen.map(({ dpop }) => dpop), [undefined, undefined])
  const headers = { authorization: 'Bearer opaque' }
  const { scheme } = await json(await send(`${origin}/me`, { headers }))
  t.equal(scheme, 'Bearer', 'a token that is no JWT')
})

t.test('in a page the prefix may be a path', async (t) => {
  const { origin } = await serve(t)
  t.teardown(async () => { Reflect.deleteProperty(globalThis, 'location') })
  Object.assign(globalThis, { location: { href: `${origin}/page` } })
  const { jkt } = await json(await dpopFetch()(`${origin}/login`, { method: 'POST' }))
  t.type(jkt, 'string')
})

t.test('an application may bring a key of its own', async (t) => {
  const { prefix, origin, seen } = await serve(t)
  const key = createKey()
  const send = dpopFetch({ prefix, key })
  const { jkt } = await json(await send(new Request(`${origin}/login`, { method: 'POST' })))
  t.equal(key.signed, 1)
  t.equal(jkt, proofs.thumbprint(key.jwk))
  const other = await json(await dpopFetch({ prefix })(`${origin}/login`, { method: 'POST' }))
  t.not(other.jkt, jkt)
  const claims = { htm: 'POST', htu: `${origin}/login`, jti: String, iat: Number }
  t.match(helpers.peek(seen[0]?.dpop ?? ''), claims)
})

t.test('all fetches of an origin share one key, also if they create it at once', async (t) => {
  const { prefix, origin } = await serve(t)
  await new Promise((resolve) => {
    indexedDB.deleteDatabase('fastify-jwt-sessions').onsuccess = resolve
  })
  const login = async () => {
    const response = await dpopFetch({ prefix })(`${origin}/login`, { method: 'POST' })
    return (await json(response)).jkt
  }
  const [first, second, third] = await Promise.all([login(), login(), login()])
  t.strictSame([second, third, await login()], [first, first, first])
})

t.test('a key that cannot be had is asked for again', async (t) => {
  const { prefix, origin } = await serve(t)
  const send = dpopFetch({ prefix })
  const { open } = indexedDB
  indexedDB.open = () => {
    const request = { error: new Error('no room'), onerror: () => {} }
    queueMicrotask(() => request.onerror())
    return request
  }
  await t.rejects(send(`${origin}/login`, { method: 'POST' }), { message: 'no room' })
  indexedDB.open = open
  t.equal((await send(`${origin}/login`, { method: 'POST' })).status, 200)
})

t.test('in a browser the key outlives reloads, is shared by tabs, is not exported', async (t) => {
  const newProfile = browser.launch(t)
  const { origin, calls } = await serve(t)
  const load = `import('/dpop.js').then(({ dpopFetch }) => {
    window.post = async (url) => await dpopFetch()(url, { method: 'POST' })
    window.login = async () => (await (await post('/login')).json()).jkt
  })`
  const open = async (profile: Awaited<ReturnType<typeof newProfile>>) => {
    const page = await profile.newPage()
    await page.goto(origin)
    await page.evaluate(load)
    return page
  }
  const mine = await newProfile(t)
  const tabs = await Promise.all([open(mine), open(mine), open(mine)])
  const [jkt, ...others] = await browser.inAll(tabs, 'login()')
  t.match(jkt, /^[\w-]{43}$/)
  t.strictSame(others, [jkt, jkt])
  await tabs[0].reload()
  await tabs[0].evaluate(load)
  t.equal(await tabs[0].evaluate('login()'), jkt)
  const stranger = await open(await newProfile(t))
  t.not(await stranger.evaluate('login()'), jkt, 'another profile has another one')
  calls()
  t.equal(await tabs[1].evaluate("post('/auth/refresh').then(({ status }) => status)"), 200)
  t.strictSame(calls(), ['/auth/refresh 400', '/auth/refresh 200'])
  const exported = tabs[1].evaluate(`new Promise((resolve) => {
    indexedDB.open('fastify-jwt-sessions').onsuccess = ({ target }) => {
      target.result.transaction('keys').objectStore('keys').get('dpop').onsuccess = (event) =>
        resolve(event.target.result)
    }
  }).then(({ privateKey }) => crypto.subtle.exportKey('jwk', privateKey))`)
  await t.rejects(exported, { message: /not extractable/ })
})

t.test('a private key that is given by mistake stays where it is', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = privateKey.export({ format: 'jwk' })
  const proofs: Array<string | null> = []
  const send = dpopFetch({
    prefix: 'https://api.example.com/auth',
    key: {
      jwk,
      sign: (data) => sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    },
    fetch: async (request) => {
      proofs.push((request as Request).headers.get('dpop'))
      return new Response()
    }
  })
  await send('https://api.example.com/auth/refresh', { method: 'POST' })
  const [header = ''] = proofs[0]?.split('.') ?? []
  const { kty, crv, x, y } = jwk
  t.strictSame(JSON.parse(Buffer.from(header, 'base64url').toString()).jwk, { kty, crv, x, y })
})

t.test('a token of the application\'s own kind goes as it is', async (t) => {
  const seen: Array<string | null> = []
  const send = dpopFetch({
    prefix: 'https://api.example.com/auth',
    fetch: async (request) => {
      seen.push((request as Request).headers.get('authorization'))
      return new Response()
    }
  })
  const tokens = ['x', 'x.y.z', 'x.bnVsbA.y', `x.${btoa('7')}.y`]
  for (const token of tokens) {
    await send('https://api.example.com/me', { headers: { authorization: `Bearer ${token}` } })
  }
  t.strictSame(seen, tokens.map((token) => `Bearer ${token}`))
})

t.test('without a page a whole prefix is asked for in a sentence', async (t) => {
  const sentence = { message: 'prefix is no whole URL' }
  const prefix = 'https://api.example.com/auth'
  t.throws(() => dpopFetch(), sentence)
  t.throws(() => dpopFetch({ prefix: 'auth' }), sentence)
  t.type(dpopFetch({ prefix }), 'function')

  t.teardown(async () => { Reflect.deleteProperty(globalThis, 'location') })
  for (const href of ['about:blank', 'file:///app/index.html', 'capacitor://localhost/']) {
    Object.assign(globalThis, { location: { href } })
    t.throws(() => dpopFetch(), sentence, href)
    t.type(dpopFetch({ prefix }), 'function')
  }
  Object.assign(globalThis, { location: { href: 'http://localhost/page' } })
  t.type(dpopFetch(), 'function')
})

t.test('the entry stays at 1.1 kB', async (t) => {
  const size = gzipSync(await build('lib/client/dpop.mts', true), { level: 9 }).length
  t.comment(`${size} bytes, minified and gzipped`)
  t.ok(size > 500 && size < 1150)
})
