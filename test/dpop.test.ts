import Fastify, { type FastifyServerOptions } from 'fastify'
import fc from 'fast-check'
import { generateKeyPairSync, hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type AddressInfo } from 'node:net'
import t from 'tap'
import { createNonces } from '../lib/binding/dpop/nonces'
import { createReadProof, type Demand, type Proving } from '../lib/binding/dpop/proof'
import { challengeByDpop, invalidProof } from '../lib/binding/dpop/refusal'
import { createReplays } from '../lib/binding/dpop/replays'
import { CrossOriginRequestError, refuse } from '../lib/errors'
import { minute, second, TestClock } from './support/app'
import { createDevice, signJws } from './support/proofs'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }
type Members = Record<string, unknown>

const url = 'https://api.example/auth/refresh'
const keys = [randomBytes(32), randomBytes(32)]

/** A reader with a clock of its own, for the requests of one device. */
function setUp () {
  const clock = new TestClock()
  const nonces = createNonces(keys)
  const read = createReadProof(nonces, clock.now)
  const device = createDevice()
  const at = (dpop: unknown, more: Partial<Proving> = {}): Proving => ({
    method: 'POST',
    protocol: 'https',
    host: 'api.example',
    originalUrl: '/auth/refresh',
    headers: { dpop } as Proving['headers'],
    ...more
  })
  const claims = (more: Members = {}): Members =>
    ({ htm: 'POST', htu: url, iat: clock.ms / 1000, ...more })
  /** What the reader makes of a header: the thumbprint, or why it is refused. */
  const judge = (dpop: unknown, demand?: Demand, request?: Partial<Proving>): string => {
    try {
      return read(at(dpop, request), demand).jkt
    } catch (error) {
      const { code, reason, message } = error as Error & { code?: string, reason?: string }
      return code === undefined ? message : `${code}: ${reason}`
    }
  }
  /** The same of a proof with these claims. */
  const show = (more?: Members, demand?: Demand, request?: Partial<Proving>): string =>
    judge(device.prove(claims(more)), demand, request)
  return { clock, nonces, device, at, claims, read, judge, show }
}

t.test('a proof names the key that it was made with', async (t) => {
  const { device, at, claims, read } = setUp()
  const proof = read(at(device.prove(claims({ jti: 'one' }))))
  t.strictSame(proof, { jkt: device.jkt, jti: 'one' })
  t.equal(read(at(device.prove(claims()))).jkt, device.jkt, 'met again')
  t.not(read(at(createDevice().prove(claims()))).jkt, device.jkt, 'another device, another key')
})

t.test('the proofs of the dpop package are good', async (t) => {
  const { clock, nonces, judge } = setUp()
  clock.ms = Date.now()
  const { calculateThumbprint, generateKeyPair, generateProof } = await import('dpop')
  const pair = await generateKeyPair('ES256')
  const jkt = await calculateThumbprint(pair.publicKey)
  t.equal(judge(await generateProof(pair, url, 'POST')), jkt)
  const nonce = nonces.current(clock.ms)
  t.equal(judge(await generateProof(pair, url, 'POST', nonce), { nonce: true }), jkt)
  const accessToken = 'a token'
  const proof = await generateProof(pair, url, 'POST', undefined, accessToken)
  t.equal(judge(proof, { accessToken }), jkt)
  for (const algorithm of ['Ed25519', 'RS256', 'PS256'] as const) {
    const other = await generateProof(await generateKeyPair(algorithm), url, 'POST')
    t.match(judge(other), 'DPOP_PROOF_INVALID: its jwk is not a public P-256 key', algorithm)
  }
})

t.test('whatever is wrong with a proof has its reason in the log', async (t) => {
  const { device, claims, judge } = setUp()
  const other = createDevice()
  const good = device.prove(claims())
  const head = { typ: 'dpop+jwt', alg: 'ES256', jwk: device.jwk }
  const [header = '', payload = '', signature = ''] = good.split('.')
  const wrong: [unknown, string | RegExp][] = [
    ['', /malformed/],
    ['nonsense', /malformed/],
    [`${header}.${payload}`, /malformed/],
    [`${header}.${payload}.`, /signature is missing/],
    [`${header}.${payload}.${signature.slice(4)}`, /verify the signature/],
    [`${header}.${payload}.${other.prove(claims()).split('.')[2]}`, /signature is invalid/],
    [`${good} `, /signature is invalid/],
    [`${good}, ${device.prove(claims())}`, 'more than one DPoP header'],
    [[good, good], 'more than one DPoP header'],
    [signJws([], claims(), device.privateKey), /not a valid JSON object/],
    [signJws(head, [claims()], device.privateKey), /must be an object/],
    [device.prove(claims(), { typ: 'JWT' }), 'Invalid typ.'],
    [device.prove(claims(), { typ: 'dbsc+jwt' }), 'Invalid typ.'],
    [device.prove(claims(), { typ: undefined }), 'Invalid typ.'],
    [device.prove(claims(), { alg: 'none' }), /algorithm is invalid/],
    [device.prove(claims(), { alg: 'HS256' }), /algorithm is invalid/],
    [device.prove(claims(), { alg: ['ES256'] }), /algorithm is invalid/],
    [device.prove(claims(), { jwk: other.jwk }), /signature is invalid/],
    ...[['exp'], [], null, false, 0, ''].map((crit): [string, string] =>
      [device.prove(claims(), { crit }), 'it has crit; no extension is supported']),
    ...[undefined, null, 'x', { ...device.jwk, y: 'x' }, { ...device.jwk, y: `${device.jwk.y}=` },
      device.privateKey.export({ format: 'jwk' }), { ...device.jwk, d: undefined, k: 'AA' },
      createDevice('P-384').jwk, createDevice('secp256k1').jwk, { kty: 'oct', k: 'AAAA' },
      generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
      generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
    ].map((jwk): [string, string] =>
      [device.prove(claims(), { jwk }), 'its jwk is not a public P-256 key']),
    [device.prove(claims(), { jwk: { ...device.jwk, y: other.jwk.y } }), /./],
    [device.prove(claims({ jti: '' })), 'no jti'],
    [device.prove(claims({ jti: undefined })), 'no jti'],
    [device.prove(claims({ jti: 7 })), 'no jti'],
    [device.prove(claims({ iat: undefined })), 'neither iat nor nonce'],
    [device.prove(claims({ iat: '1' })), 'neither iat nor nonce'],
    [device.prove(claims({ htm: 'GET' })), 'for "GET", not POST'],
    [device.prove(claims({ htm: 'post' })), 'for "post", not POST'],
    [device.prove(claims({ htm: { toString: 1 } })), 'for {"toString":1}, not POST'],
    ...[undefined, 7, [url], '', '/auth/refresh', `${url}?all`, `${url}?`, `${url}#`]
      .map((htu): [string, string] =>
        [device.prove(claims({ htu })), 'its htu is not a URL without query and fragment'])
  ]
  for (const [given, reason] of wrong) {
    const judged = judge(given)
    t.match(judged, /^DPOP_PROOF_INVALID: /)
    t.match(judged.slice('DPOP_PROOF_INVALID: '.length), reason, String(given).slice(0, 60))
  }
  t.equal(judge(undefined), 'DPOP_PROOF_MISSING: no DPoP header')
})

t.test('a proof has 4,096 characters at most', async (t) => {
  const { device, claims, judge } = setUp()
  const sized = (length: number): string => {
    for (let i = 2500; ; i++) {
      const proof = device.prove(claims({ jti: 'one', more: 'x'.repeat(i) }))
      if (proof.length >= length) return proof
    }
  }
  t.equal(sized(4096).length, 4096)
  t.equal(judge(sized(4096)), device.jkt)
  t.equal(sized(4097).length > 4096, true)
  t.match(judge(sized(4097)), /^DPOP_PROOF_INVALID: \d+ characters; 4096 are the most$/)
})

t.test('a proof is for the URL of its request, whichever way it is spelled', async (t) => {
  const { device, show } = setUp()
  const same: [string, Partial<Proving>][] = [
    [url, { originalUrl: '/auth/refresh?x=1' }],
    [url, { originalUrl: '/auth/refresh#x?y' }],
    ['HTTPS://API.example/auth/refresh', {}],
    ['https://api.example:443/auth/refresh', {}],
    [url, { host: 'API.EXAMPLE:443' }],
    ['http://localhost/', { protocol: 'http', host: 'localhost:80', originalUrl: '/' }],
    ['http://localhost', { protocol: 'http', host: 'localhost:80', originalUrl: '/' }],
    ['https://[::1]:8443/a', { host: '[0:0::1]:8443', originalUrl: '/a' }],
    ['https://api.example/x/../auth/refresh', {}],
    ['https://api.example//evil.example/x', { originalUrl: '//evil.example/x' }]
  ]
  for (const [htu, request] of same) t.equal(show({ htu }, {}, request), device.jkt, htu)

  const others: [string, Partial<Proving>][] = [
    ['https://api.example/auth/refresh/', {}],
    ['https://api.example/AUTH/refresh', {}],
    ['https://api.example/auth/%72efresh', {}],
    ['https://api.example:8443/auth/refresh', {}],
    ['https://user@api.example/auth/refresh', {}],
    ['https://evil.example/x', { originalUrl: '//evil.example/x' }],
    ['https://evil.example/x', { originalUrl: 'https://evil.example/x' }],
    [url, { host: '' }],
    [url, { host: 'a b' }]
  ]
  for (const [htu, request] of others) {
    t.match(show({ htu }, {}, request), /^DPOP_PROOF_INVALID: for another target/, htu)
  }
  t.equal(show({}, {}, { protocol: 'http' }), `DPOP_PROOF_INVALID: for another target: ${url} ` +
    '(this request is for http://api.example/auth/refresh): is trustProxy set?')
})

t.test('without a nonce, iat is within five minutes of the time of the store', async (t) => {
  const { clock, device, show } = setUp()
  const off = (seconds: number): string => show({ iat: clock.ms / 1000 + seconds })
  for (const seconds of [-300, -1, 0, 0.5, 300]) t.equal(off(seconds), device.jkt)
  for (const seconds of [-301, 301, 3600]) {
    t.equal(off(seconds), `DPOP_NONCE_REQUIRED: its iat is ${seconds} s off`)
  }
})

t.test('with a nonce, iat is not looked at', async (t) => {
  const { clock, nonces, device, show } = setUp()
  const nonce = nonces.current(clock.ms)
  for (const iat of [0, undefined, 'x', clock.ms]) t.equal(show({ iat, nonce }), device.jkt)
  for (const wrong of ['', 'x', 7, null, [nonce], `${nonce}x`]) {
    t.equal(show({ nonce: wrong }), 'DPOP_NONCE_REQUIRED: its nonce is stale, or not of this ring')
  }
})

t.test('where a nonce is demanded, iat does not replace it', async (t) => {
  const { clock, nonces, device, show } = setUp()
  t.equal(show({}, { nonce: true }), 'DPOP_NONCE_REQUIRED: it has no nonce')
  t.equal(show({ nonce: nonces.current(clock.ms) }, { nonce: true }), device.jkt)
  t.match(show({ htm: 'GET' }, { nonce: true }), /^DPOP_PROOF_INVALID/, 'a bad proof gets none')
})

t.test('exp and nbf say nothing: clocks of devices are wrong', async (t) => {
  const { device, show } = setUp()
  t.equal(show({ exp: 1, nbf: 1e12 }), device.jkt)
})

t.test('a proof for an access token is for no other', async (t) => {
  const { device, show } = setUp()
  const accessToken = 'header.payload.signature'
  const ath = hash('sha256', accessToken, 'base64url')
  t.equal(show({ ath }, { accessToken }), device.jkt)
  t.equal(show({ ath }), device.jkt, 'where none is expected it does no harm')
  const inHex = hash('sha256', accessToken, 'hex')
  for (const wrong of [undefined, '', hash('sha256', 'other', 'base64url'), inHex, [ath]]) {
    const judged = show({ ath: wrong }, { accessToken })
    t.equal(judged, 'DPOP_PROOF_INVALID: its ath is not of the access token')
  }
})

t.test('a refusal has one challenge, and no reason in it', async (t) => {
  const { clock, nonces, device, at, claims, read } = setUp()
  const refusal = (dpop: unknown, demand?: Demand) => {
    try {
      return read(at(dpop), demand)
    } catch (error) {
      return error
    }
  }
  const algs = 'algs="ES256"'
  const challenge = (error: string, description: string) =>
    ({ 'www-authenticate': `DPoP error="${error}", error_description="${description}", ${algs}` })
  t.match(refusal(undefined), {
    statusCode: 400,
    headers: challenge('invalid_dpop_proof', 'A DPoP proof is required')
  })
  t.match(refusal('x', { status: 401 }), {
    statusCode: 401,
    headers: challenge('invalid_dpop_proof', 'The DPoP proof is invalid')
  })
  t.match(refusal(device.prove(claims()), { nonce: true }), {
    statusCode: 400,
    headers: {
      ...challenge('use_dpop_nonce', 'The DPoP proof must carry the nonce of this answer'),
      'dpop-nonce': nonces.current(clock.ms)
    }
  })
})

t.test('only a challenge to Bearer becomes one to DPoP', async (t) => {
  const foreign = refuse(CrossOriginRequestError, 'a foreign page')
  t.equal(challengeByDpop(foreign).headers, undefined)
  const proof = invalidProof('x', 401)
  const { headers } = { ...proof }
  t.strictSame(challengeByDpop(proof).headers, headers)
})

t.test('a nonce is good for four to five minutes, by whichever key of the ring', async (t) => {
  const clock = new TestClock() // at the start of a minute
  const [older = Buffer.alloc(0)] = keys
  const ring = createNonces([randomBytes(32), ...keys])
  for (const { current } of [createNonces(keys), createNonces([older]), ring]) {
    const nonce = current(clock.ms)
    t.match(nonce, /^[\w-]{43}$/)
    t.equal(ring.isFresh(nonce, clock.ms), true)
    t.equal(ring.isFresh(nonce, clock.ms + 5 * minute - 1), true, 'made at the start of a minute')
    t.equal(ring.isFresh(nonce, clock.ms + 5 * minute), false)
    t.equal(current(clock.ms + minute - 1), nonce, 'it is that of the whole minute')
    t.not(current(clock.ms + minute), nonce)
    t.equal(ring.isFresh(nonce, clock.ms - second), true, 'a node whose clock is behind accepts it')
    t.equal(ring.isFresh(nonce, clock.ms - minute - second), false)
  }
  const foreign = createNonces([randomBytes(32)])
  t.equal(foreign.isFresh(ring.current(clock.ms), clock.ms), false)
})

t.test('a proof is accepted once by a process', async (t) => {
  const replays = createReplays(3)
  const record = (jkt: string, jti: string): boolean => replays.record({ jkt, jti })
  t.equal(record('a', '1'), true)
  t.equal(record('a', '1'), false)
  t.equal(record('b', '1'), true, 'of another key')
  record('a', '2')
  t.equal(record('a', '1'), false)
  record('a', '3')
  t.equal(record('a', '1'), true, 'the oldest are forgotten if there are too many')
  t.equal(record('a', '3'), false)
  t.equal(createReplays().record({ jkt: 'a', jti: '1' }), true, 'another process knows nothing')
})

/** A server whose only route returns what the reader makes of the request. */
async function listen (t: Teardown, options: FastifyServerOptions = {}) {
  const { clock, device, read } = setUp()
  clock.ms = Date.now()
  const app = Fastify(options)
  t.teardown(async () => await app.close())
  app.post('/auth/*', async (request) => read(request))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const prove = (htu: string): string => device.prove({ htm: 'POST', htu, iat: clock.ms / 1000 })
  return { device, port, prove, origin: `http://127.0.0.1:${port}` }
}

t.test('the URL of a request is what trustProxy says', async (t) => {
  const behind = await listen(t, { trustProxy: true })
  const bare = await listen(t)
  const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example' }
  const post = async ({ origin, prove }: typeof bare, htu: string) => {
    const init = { method: 'POST', headers: { ...headers, dpop: prove(htu) } }
    return await (await fetch(`${origin}/auth/refresh`, init)).json()
  }
  t.match(await post(behind, url), { jkt: behind.device.jkt })
  const refusal = { code: 'DPOP_PROOF_INVALID', message: 'The DPoP proof is invalid' }
  t.match(await post(bare, url), refusal, 'the client is not told of URLs')
  t.match(await post(bare, `${bare.origin}/auth/refresh`), { jkt: bare.device.jkt })
  t.match(await post(behind, `${behind.origin}/auth/refresh`), { code: 'DPOP_PROOF_INVALID' })
})

t.test('two headers are refused as they come over the wire', async (t) => {
  const { port, prove, origin } = await listen(t)
  const ask = async (...proofs: string[]): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    const lines = proofs.map((proof) => `DPoP: ${proof}\r\n`).join('')
    const start = `POST /auth/refresh HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n`
    socket.end(`${start}Content-Length: 0\r\n${lines}\r\n`)
    let answer = ''
    socket.on('data', (data) => { answer += String(data) })
    await once(socket, 'close')
    return answer.split(' ')[1] ?? ''
  }
  const proof = prove(`${origin}/auth/refresh`)
  t.equal(await ask(proof), '200')
  t.equal(await ask(proof, proof), '400')
  t.equal(await ask('', proof), '400')
})

t.test('over HTTP/2 the URL has the authority', async (t) => {
  const { port, prove, device, origin } = await listen(t, { http2: true } as FastifyServerOptions)
  const session = connectHttp2(origin)
  t.teardown(async () => session.close())
  const ask = async (dpop: string | string[]) => {
    const head = { ':method': 'POST', ':path': '/auth/refresh', ':authority': `127.0.0.1:${port}` }
    const stream = session.request({ ...head, dpop })
    stream.end()
    let answer = ''
    for await (const data of stream) answer += String(data)
    return JSON.parse(answer)
  }
  const proof = prove(`${origin}/auth/refresh`)
  t.match(await ask(proof), { jkt: device.jkt })
  t.match(await ask([proof, proof]), { code: 'DPOP_PROOF_INVALID' })
})

t.test('whatever the header is, it has a code, or was signed by the key it names', async (t) => {
  const { device, claims, judge } = setUp()
  const good = device.prove(claims({ jti: 'one' }))
  const parts = good.split('.')
  const encoded = fc.json().map((json) => Buffer.from(json).toString('base64url'))
  const part = fc.oneof(encoded, fc.constantFrom(...parts), fc.string())
  const likely = fc.constantFrom('ES256', 'dpop+jwt', '__proto__', null, url, 'POST', device.jwk)
  const member = fc.oneof(fc.anything(), likely)
  const names = ['jti', 'htm', 'htu', 'iat', 'nonce', 'ath', 'toString', '__proto__']
  const signed = fc.tuple(
    fc.dictionary(fc.constantFrom('typ', 'alg', 'jwk', 'crit', 'kid', 'b64', '__proto__'), member),
    fc.dictionary(fc.constantFrom(...names), member)
  ).filter(([header, payload]) => isJson(header) && isJson(payload))
  const mutated = fc.tuple(fc.nat(good.length - 1), fc.string({ minLength: 1, maxLength: 1 }))
    .map(([at, by]) => good.slice(0, at) + by + good.slice(at + 1))
  const joined = fc.array(part, { maxLength: 5 }).map((list) => list.join('.'))
  const bare = fc.oneof(fc.string(), mutated, joined)

  const check = (runs: number, property: fc.IProperty<unknown>) =>
    t.doesNotThrow(() => fc.assert(property as fc.IProperty<[unknown]>, { numRuns: runs }))
  check(3000, fc.property(bare, (text) => {
    const judged = judge(text)
    return /^DPOP_(PROOF_INVALID|NONCE_REQUIRED): /.test(judged) ||
      // Its last character has bits to spare: some others spell the same signature.
      text.slice(0, -1) === good.slice(0, -1)
  }))
  check(2000, fc.property(signed, ([header, payload]) => {
    const judged = judge(device.prove(claims(payload), header))
    return /^DPOP_(PROOF_INVALID|NONCE_REQUIRED): /.test(judged) || judged === device.jkt
  }))
})

const isJson = (given: unknown): boolean => {
  try {
    JSON.stringify(given)
    return true
  } catch {
    return false
  }
}
