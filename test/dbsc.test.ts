import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import Fastify from 'fastify'
import { CompactSign, exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import { createProofChallenges, createRegistrationChallenges } from '../lib/binding/dbsc/challenge'
import { createDbsc } from '../lib/binding/dbsc/dbsc'
import { createInstructions, initiatorsOf, toEnd } from '../lib/binding/dbsc/instructions'
import { createProofs } from '../lib/binding/dbsc/proof'
import { proofCookieOf } from '../lib/binding/dbsc/proof-cookie'
import { readItem, readResponse } from '../lib/binding/dbsc/response'
import { readIdentifier, toIdentifier } from '../lib/binding/dbsc/session-identifier'
import type { DeviceSecrets } from '../lib/binding/dbsc/timed-token'
import { shortThumbprint, thumbprint } from '../lib/binding/jwk'
import { createPublicKeys } from '../lib/binding/public-keys'
import { readCookieSettings } from '../lib/http/cookie-settings'
import { prepareCookies } from '../lib/http/cookies'
import { createHs256 } from '../lib/tokens/hs256'
import { minute, peek, second } from './support/app'
import { Device } from './support/dbsc/device'

const secretNamed = (kid: string) => ({ kid, secret: Buffer.from(kid.repeat(32)) })
const secrets: DeviceSecrets = [secretNamed('a')]
const sid = 'abcdefghijklmnopqrstu-'
const otherSid = 'abcdefghijklmnopqrstu_'
const now = Date.UTC(2026, 0, 1)

const make = (of = secrets) => createDbsc(of, createPublicKeys(), '/auth/device')
const inQuotes = (header: string, name?: string): string =>
  new RegExp(name === undefined ? '^"([^"]*)"' : `;${name}="([^"]*)"`).exec(header)?.[1] ?? ''

t.test('what lasts is good until its time is over, in the store\'s time', async (t) => {
  const proofs = createProofs(secrets)
  const proof = { sid, generation: 7, key: 'k'.repeat(16) }
  const lasting = {
    'the challenge of a login': [5 * minute, createRegistrationChallenges(secrets)],
    'a challenge': [10 * minute, createProofChallenges(secrets)],
    'a proof': [30 * second, {
      create: (_sid: string, now: number) => proofs.sign(proof, now),
      verify: (text: string, now: number) => proofs.keysOf([text], sid, 7, now)[0]
    }]
  } as const
  for (const [name, [lifetime, { create, verify }]] of Object.entries(lasting)) {
    const text = create(sid, now)
    t.ok(verify(text, now), name)
    t.ok(verify(text, now + lifetime - 1), `${name}, at its last moment`)
    t.equal(verify(text, now + lifetime), undefined, `${name}, too late`)
    t.ok(verify(create(sid, now + 1), now + lifetime), `${name}: its last second is a whole one`)
    t.ok(verify(text, now - minute), `${name}, where a clock has stepped back`)
  }
})

t.test('no kind of token is taken for another', async (t) => {
  const registrations = createRegistrationChallenges(secrets)
  const challenges = createProofChallenges(secrets)
  const proofs = createProofs(secrets)
  const proof = proofs.sign({ sid, generation: 1, key: 'k' }, now)
  t.equal(registrations.verify(challenges.create(sid, now), now), undefined)
  t.equal(challenges.verify(registrations.create(sid, now), now), undefined)
  t.equal(challenges.verify(proof, now), undefined)
  t.strictSame(proofs.keysOf([challenges.create(sid, now)], sid, 1, now), [])
  const { sign } = createHs256(secrets[0].secret, 'rt+jwt', 'a')
  t.equal(challenges.verify(sign({ sid, exp: now }), now), undefined)
  t.match(peek(registrations.create(sid, now), 0), { alg: 'HS256', typ: 'dbsc-registration+jwt' })
  t.match(peek(challenges.create(sid, now), 0), { alg: 'HS256', typ: 'dbsc-challenge+jwt' })
  t.match(peek(proof, 0), { alg: 'HS256', typ: 'dbsc-proof+jwt' })
  const exp = now / 1000 + 30
  t.strictSame(peek(proof), { sid, gen: 1, key: 'k', exp })
})

t.test('all keys of the ring verify, and the first one signs', async (t) => {
  const [old, fresh] = [secretNamed('a'), secretNamed('b')]
  const before = createProofChallenges([old])
  const during = createProofChallenges([fresh, old])
  const after = createProofChallenges([fresh])
  t.equal(during.verify(before.create(sid, now), now), sid)
  t.equal(before.verify(during.create(sid, now), now), undefined)
  t.equal(after.verify(during.create(sid, now), now), sid)
  t.equal(after.verify(before.create(sid, now), now), undefined)
})

t.test('a proof is for one generation of one session', async (t) => {
  const proofs = createProofs(secrets)
  const sign = (generation: number, key: string, of = sid) =>
    proofs.sign({ sid: of, generation, key }, now)
  const texts = [sign(3, 'older'), sign(4, 'one'), sign(4, 'another'), sign(4, 'x', otherSid), 'x']
  t.strictSame(proofs.keysOf(texts, sid, 4, now), ['one', 'another'])
  t.strictSame(proofs.keysOf(texts, sid, 5, now), [])
  t.strictSame(proofs.keysOf([], sid, 4, now), [])
})

t.test('an identifier holds the session and the key', async (t) => {
  for (const algorithm of ['ES256', 'RS256'] as const) {
    const { jwk } = new Device(algorithm)
    const identifier = toIdentifier({ sid, jwk })
    t.strictSame(readIdentifier(identifier), { sid, jwk })
    t.equal(identifier.length, algorithm === 'ES256' ? 110 : 365)
    t.equal(readIdentifier(`${identifier}.`), undefined)
    t.equal(readIdentifier(identifier.slice(1)), undefined)
    t.equal(readIdentifier(identifier.slice(0, -1)), undefined)
    t.equal(readIdentifier(identifier.replace('-', '+')), undefined)
    t.equal(shortThumbprint(jwk), thumbprint(jwk).slice(0, 16))
  }
  for (const text of ['', '.', sid, `${sid}.`, `${sid}..`, `${sid}...`]) {
    t.equal(readIdentifier(text), undefined, text)
  }
})

t.test('a header is read with and without quotation marks', async (t) => {
  for (const header of ['"a.b"', 'a.b', ' a.b ', '"a.b";x=1', 'a.b;x="1"']) {
    t.equal(readItem(header), 'a.b', header)
  }
  t.equal(readItem('""'), '')
  const malformed = ['', '"', '"a', 'a"', 'a b', 'a, b', '"a", "b"', 'a,b', '"a\\"b"', '"a"b']
  for (const header of [undefined, ['a'], ...malformed]) {
    t.equal(readItem(header), undefined, String(header))
  }
})

t.test('a response names its algorithm, its type and its challenge', async (t) => {
  const device = new Device()
  t.match(readResponse(device.prove('c')), { algorithm: 'ES256', challenge: 'c' })
  const quoted = `"${new Device('RS256').prove('c')}"`
  t.match(readResponse(quoted), { algorithm: 'RS256', challenge: 'c' })
  for (const [header, payload] of [
    [{ typ: 'jwt' }, { jti: 'c' }],
    [{ typ: undefined }, { jti: 'c' }],
    [{ alg: 'none' }, { jti: 'c' }],
    [{ alg: 'HS256' }, { jti: 'c' }],
    [{ alg: 'ES384' }, { jti: 'c' }],
    [{ alg: ['ES256'] }, { jti: 'c' }],
    [{}, {}],
    [{}, { jti: 1 }]
  ] as const) t.equal(readResponse(device.sign(header, payload)), undefined)
  t.equal(readResponse(device.prove('c'.repeat(4096))), undefined, 'too long')
  t.equal(readResponse(undefined), undefined)
})

t.test('a device registers by its login\'s challenge, and proves itself by others', async (t) => {
  for (const algorithm of ['ES256', 'RS256'] as const) {
    const dbsc = make()
    const device = new Device(algorithm)
    const session = { sid, jwk: device.jwk }

    const offer = dbsc.offer(sid, now)
    t.match(offer, /^\(ES256 RS256\);path="\/auth\/device";challenge="[\w.-]+"$/)
    const offered = inQuotes(offer, 'challenge')
    t.strictSame(dbsc.register(device.register(offered), [otherSid, sid], now), session)
    t.strictSame(dbsc.register(device.register(offered), [sid], now), session, 'a retry')

    const header = dbsc.challenge(session, now)
    t.equal(inQuotes(header, 'id'), toIdentifier(session))
    const challenge = inQuotes(header)
    t.strictSame(dbsc.prove(device.prove(challenge), session, now), session)
    t.strictSame(dbsc.prove(`"${device.prove(challenge)}"`, session, now), session, 'a retry')
  }
})

t.test('a registration that is not the login\'s is refused', async (t) => {
  const dbsc = make()
  const device = new Device()
  const challenge = inQuotes(dbsc.offer(sid, now), 'challenge')
  const register = (response: unknown, sids = [sid], at = now) => dbsc.register(response, sids, at)
  const { jwk } = new Device()
  const leaked = { ...device.jwk, d: 'a' }
  const forged = inQuotes(make([secretNamed('b')]).offer(sid, now), 'challenge')
  const refused: Array<[RegExp, ReturnType<typeof register>]> = [
    [/missing|malformed/, register(undefined)],
    [/forged/, register(device.register('challenge'))],
    [/forged/, register(device.register(forged))],
    [/forged/, register(device.register(inQuotes(dbsc.challenge({ sid, jwk }, now))))],
    [/too old/, register(device.register(challenge), [sid], now + 5 * minute)],
    [/another session/, register(device.register(challenge), [otherSid])],
    [/another session/, register(device.register(challenge), [])],
    [/no public key/, register(device.prove(challenge))],
    [/no public key/, register(device.sign({ jwk: leaked }, { jti: challenge }))],
    [/not signed/, register(device.sign({ jwk }, { jti: challenge }))],
    [/not signed/, register(device.register(challenge).slice(0, -4) + 'AAAA')]
  ]
  for (const [reason, answer] of refused) t.match(answer, { reason }, String(reason))
})

t.test('a proof that is not the session\'s is refused', async (t) => {
  const dbsc = make()
  const device = new Device()
  const session = { sid, jwk: device.jwk }
  const challenge = inQuotes(dbsc.challenge(session, now))
  const prove = (response: unknown, of = session, at = now) => dbsc.prove(response, of, at)
  const offered = inQuotes(dbsc.offer(sid, now), 'challenge')
  const nowhere = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } as const
  const refused: Array<[RegExp, ReturnType<typeof prove>]> = [
    [/malformed/, prove(undefined)],
    [/forged/, prove(device.prove('challenge'))],
    [/forged/, prove(device.prove(offered))],
    [/too old/, prove(device.prove(challenge), session, now + 10 * minute)],
    [/another session/, prove(device.prove(challenge), { ...session, sid: otherSid })],
    [/another kind/, prove(new Device('RS256').prove(challenge))],
    [/not signed/, prove(new Device().prove(challenge))],
    [/not signed/, prove(device.prove(challenge), { sid, jwk: nowhere })],
    [/not signed/, prove(new Device().sign({ jwk: device.jwk }, { jti: challenge }))]
  ]
  for (const [reason, answer] of refused) t.match(answer, { reason }, String(reason))
})

t.test('what another library signs is a registration and a proof', async (t) => {
  for (const alg of ['ES256', 'RS256'] as const) {
    const dbsc = make()
    const { publicKey, privateKey } = await generateKeyPair(alg)
    const jwk = await exportJWK(publicKey)
    const sign = async (header: object, jti: string) => await new CompactSign(
      Buffer.from(JSON.stringify({ jti }))
    ).setProtectedHeader({ alg, typ: 'dbsc+jwt', ...header }).sign(privateKey)
    const offered = inQuotes(dbsc.offer(sid, now), 'challenge')
    const session = dbsc.register(await sign({ jwk }, offered), [sid], now)
    if ('reason' in session) return t.fail(session.reason)
    t.strictSame(session.jwk, jwk)
    const challenge = inQuotes(dbsc.challenge(session, now))
    t.strictSame(dbsc.prove(await sign({}, challenge), session, now), session)
  }
})

const readCookie = (given: object) => readCookieSettings(given, {
  option: 'refreshToken.cookie', noun: 'refresh_token', path: '/', sameSite: 'strict'
})

t.test('the instructions hold back the refresh route alone', async (t) => {
  const routes = { device: '/api/auth/device', refresh: '/api/auth/refresh' }
  const cookie = proofCookieOf(readCookie({ priority: 'high', path: '/api' }))
  const app = Fastify()
  t.teardown(async () => await app.close())
  const codec = await prepareCookies(app)
  t.strictSame(createInstructions(routes, cookie, [], codec)('id'), {
    session_identifier: 'id',
    refresh_url: '/api/auth/device',
    scope: {
      include_site: false,
      scope_specification: [
        { type: 'exclude', path: '/' },
        { type: 'include', path: '/api/auth/refresh' }
      ]
    },
    credentials: [{
      type: 'cookie',
      name: '__Secure-refresh_proof',
      attributes: 'Path=/api; HttpOnly; Secure; SameSite=Strict'
    }]
  })
  const { allowed_refresh_initiators: hosts } = createInstructions(routes, cookie, ['a.b'], codec)('id')
  t.strictSame(hosts, ['a.b'])
  t.strictSame(toEnd('id'), { session_identifier: 'id', continue: false })
})

t.test('the hosts of trusted origins are those of pages with TLS', async (t) => {
  const origins = [
    'https://app.example.com', 'https://app.example.com:8443', 'http://dev.example.com',
    'capacitor://localhost', /^https:/, 'https://b.example.com'
  ]
  t.strictSame(initiatorsOf(new Set(origins)), ['app.example.com', 'b.example.com'])
})

t.test('the proof cookie is named after the refresh cookie', async (t) => {
  const nameOf = (options: object) => proofCookieOf(readCookie(options)).name
  t.equal(nameOf({}), '__Host-refresh_proof')
  t.equal(nameOf({ path: '/auth' }), '__Secure-refresh_proof')
  t.equal(nameOf({ name: 'mine' }), 'mine_proof')
  t.equal(nameOf({ name: 'my_token' }), 'my_proof')
  t.equal(nameOf({ name: '_token_x' }), '_token_x_proof')
})

t.test('nothing that a client sends makes the protocol throw, or is taken for good', async () => {
  const dbsc = make()
  const device = new Device()
  const session = { sid, jwk: device.jwk }
  const challenges = fc.constantFrom(
    inQuotes(dbsc.offer(sid, now), 'challenge'), inQuotes(dbsc.challenge(session, now))
  )
  const header = fc.record({
    alg: fc.oneof(fc.constantFrom('ES256', 'RS256', 'none'), fc.jsonValue()),
    typ: fc.oneof({ weight: 4, arbitrary: fc.constant('dbsc+jwt') }, fc.jsonValue()),
    jwk: fc.oneof(fc.constantFrom(device.jwk, new Device('RS256').jwk), fc.jsonValue())
  }, { requiredKeys: [] })
  const payload = fc.record({ jti: fc.oneof(challenges, fc.jsonValue()) }, { requiredKeys: [] })
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signature = fc.constantFrom(0, 1, 63, 64, 65, 256, 512)
    .map((bytes) => randomBytes(bytes).toString('base64url'))
  const jws = fc.tuple(header, payload, signature)
    .map(([header, payload, signature]) => `${encode(header)}.${encode(payload)}.${signature}`)
  const text = fc.oneof({ weight: 5, arbitrary: jws }, fc.string(), challenges)
  fc.assert(fc.property(text, fc.boolean(), (text, quoted) => {
    const sent = quoted ? `"${text}"` : text
    if (!('reason' in dbsc.register(sent, [sid], now))) return false
    return 'reason' in dbsc.prove(sent, session, now)
  }), { numRuns: 3000 })

  const part = fc.oneof(fc.constantFrom(sid, device.jwk.kty, ''), fc.base64String(), fc.string())
  fc.assert(fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
    const read = readIdentifier(parts.join('.'))
    return read === undefined || toIdentifier(read) === parts.join('.')
  }), { numRuns: 3000 })
})
