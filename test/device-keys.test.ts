import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { CompactSign, calculateJwkThumbprint } from 'jose'
import t from 'tap'
import {
  algorithmOf, readJwk, thumbprint, type DeviceAlgorithm, type PublicJwk
} from '../lib/binding/jwk'
import { isSignedBy, readJws } from '../lib/binding/jws'
import { createPublicKeys } from '../lib/binding/public-keys'

const newPairs = () => ({
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 })
})
const toJwk = ({ publicKey }: { publicKey: KeyObject }) => publicKey.export({ format: 'jwk' })
const pairs = newPairs()
const ec = toJwk(pairs.ES256)
const rsa = toJwk(pairs.RS256)
/** A modulus of this many bits, whatever its factors. */
function modulus (bits: number): string {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff)
  bytes[0] = 0xff >> (bytes.length * 8 - bits)
  return bytes.toString('base64url')
}

t.test('the thumbprints of the RFCs are what is computed', async (t) => {
  // RFC 7638 §3.1
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSo' +
    'c_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YG' +
    'jQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt' +
    '-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDK' +
    'gw'
  t.equal(thumbprint({ kty: 'RSA', n, e: 'AQAB' }), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  // RFC 9449 §6.1
  const x = 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs'
  const y = '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA'
  const jwk = { kty: 'EC', crv: 'P-256', x, y } as const
  t.equal(thumbprint(jwk), '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
})

t.test('a thumbprint is the same whoever computes it', async (t) => {
  for (const [algorithm, jwk] of [['ES256', ec], ['RS256', rsa]] as const) {
    const read = readJwk({ ...jwk, alg: algorithm, use: 'sig', kid: 'a' }, algorithm)
    t.ok(read)
    t.equal(thumbprint(read as PublicJwk), await calculateJwkThumbprint(jwk as never))
    t.equal(algorithmOf(read as PublicJwk), algorithm)
    t.strictSame(read, jwk, 'other members are left out')
  }
})

t.test('a JWK is a public key for its algorithm, or nothing', async (t) => {
  const { x, y } = ec
  const { n } = rsa
  const p384 = toJwk(generateKeyPairSync('ec', { namedCurve: 'P-384' }))
  const zeros = Buffer.alloc(256, 1).fill(0, 0, 9)
  const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].flatMap((name) => [
    [`EC with ${name}`, [{ ...ec, [name]: 'AQAB' }, 'ES256']],
    [`RSA with ${name}`, [{ ...rsa, [name]: '' }, 'RS256']]
  ])
  const refused: Record<string, [unknown, DeviceAlgorithm]> = {
    'no object': ['key', 'ES256'],
    null: [null, 'ES256'],
    array: [[ec], 'ES256'],
    'an RSA key for ES256': [rsa, 'ES256'],
    'an EC key for RS256': [ec, 'RS256'],
    'another curve': [{ ...ec, crv: 'P-384' }, 'ES256'],
    'a point on another curve': [p384, 'ES256'],
    'an Edwards key': [toJwk(generateKeyPairSync('ed25519')), 'ES256'],
    'a short x': [{ ...ec, x: x?.slice(1) }, 'ES256'],
    'a long y': [{ ...ec, y: `${y}A` }, 'ES256'],
    'x with white space': [{ ...ec, x: ` ${x?.slice(1)}` }, 'ES256'],
    'x in base64': [{ ...ec, x: `+${x?.slice(1)}` }, 'ES256'],
    'another spelling of y': [{ ...ec, y: `${'A'.repeat(42)}B` }, 'ES256'],
    'y as a number': [{ ...ec, y: 1 }, 'ES256'],
    'no y': [{ kty: 'EC', crv: 'P-256', x }, 'ES256'],
    'an exponent of 3': [{ ...rsa, e: 'Aw' }, 'RS256'],
    'no exponent': [{ kty: 'RSA', n }, 'RS256'],
    'no modulus': [{ kty: 'RSA', e: 'AQAB' }, 'RS256'],
    'a small modulus': [toJwk(generateKeyPairSync('rsa', { modulusLength: 1024 })), 'RS256'],
    'a modulus of 2047 bits': [{ ...rsa, n: modulus(2047) }, 'RS256'],
    'a small modulus behind zeros': [{ ...rsa, n: zeros.toString('base64url') }, 'RS256'],
    'a modulus of 4097 bits': [{ ...rsa, n: modulus(4097) }, 'RS256'],
    'a modulus that is longer than a header': [{ ...rsa, n: modulus(100_000) }, 'RS256'],
    'another spelling of n': [{ ...rsa, n: `${n}=` }, 'RS256'],
    ...Object.fromEntries(privateMembers)
  }
  for (const [name, [given, algorithm]] of Object.entries(refused)) {
    t.equal(readJwk(given, algorithm), undefined, name)
  }
  t.ok(readJwk({ ...rsa, n: modulus(2048) }, 'RS256'))
  t.ok(readJwk({ ...rsa, n: modulus(4096) }, 'RS256'))
})

t.test('a key is imported once, and a point that is on no curve never', async (t) => {
  const keys = createPublicKeys()
  const key = keys.import(ec as PublicJwk)
  t.ok(key?.equals(createPublicKey({ key: ec, format: 'jwk' })))
  t.equal(keys.import({ ...ec } as PublicJwk), key, 'it is remembered by its members')
  t.ok(keys.import(rsa as PublicJwk)?.equals(pairs.RS256.publicKey))
  const nowhere = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } as const
  t.equal(keys.import(nowhere), undefined)
})

const signed = async (algorithm: DeviceAlgorithm, header: object, payload: unknown) =>
  await new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: algorithm, ...header }).sign(pairs[algorithm].privateKey)

t.test('what another library signs is verified', async (t) => {
  const others = newPairs()
  for (const algorithm of ['ES256', 'RS256'] as const) {
    const header = { typ: 'dbsc+jwt', jwk: { a: 1 } }
    const payload = { jti: 'a', b: [{}] }
    const { publicKey } = pairs[algorithm]
    const jws = readJws(await signed(algorithm, header, payload), 4096)
    if (jws === undefined) return t.fail('it is read')
    t.strictSame([jws.header, jws.payload], [{ alg: algorithm, ...header }, payload])
    t.ok(isSignedBy(jws, publicKey, algorithm))
    t.notOk(isSignedBy(jws, others[algorithm].publicKey, algorithm), 'another key')
    t.notOk(isSignedBy({ ...jws, signed: `${jws.signed}A` }, publicKey, algorithm), 'another text')
    for (const length of [0, 1, 63, 65, 70, 255, 257]) {
      const signature = Buffer.alloc(length, 1)
      t.notOk(isSignedBy({ ...jws, signature }, publicKey, algorithm), `${length} bytes`)
    }
  }
  const signature = sign('sha256', Buffer.from('a.b'), pairs.ES256.privateKey)
  const der = { header: {}, payload: {}, signed: 'a.b', signature }
  t.notOk(isSignedBy(der, pairs.ES256.publicKey, 'ES256'), 'ASN.1 is for certificates')
})

t.test('a JWS is three parts of base64url with two objects, or nothing', async (t) => {
  const part = (text: string) => Buffer.from(text).toString('base64url')
  const read = (...parts: string[]) => readJws(parts.join('.'), 100)
  t.ok(read(part('{}'), part('{}'), 'AA'))
  for (const text of ['[]', 'null', '1', '"a"', '', '{', '{}x', '\u0000']) {
    t.equal(read(part(text), part('{}'), 'AA'), undefined, `header ${text}`)
    t.equal(read(part('{}'), part(text), 'AA'), undefined, `payload ${text}`)
  }
  const extended = part('{"crit":["b64"],"b64":false}')
  t.equal(read(extended, part('{}'), 'AA'), undefined, 'an extension that must be understood')
  t.equal(read(part('{}'), part('{}')), undefined)
  t.equal(read(part('{}'), part('{}'), ''), undefined, 'no signature')
  t.equal(read(part('{}'), part('{}'), 'AA', 'AA', 'AA'), undefined, 'a JWE')
  t.equal(read(part('{}'), part('{}'), 'A+A='), undefined)
  t.equal(read(part('{}'), part('{}'), 'A'.repeat(92))?.signature.length, 69, 'as long as allowed')
  t.equal(read(part('{}'), part('{}'), 'A'.repeat(93)), undefined, 'a character longer')
})

t.test('no text makes the readers throw', async () => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const json = fc.jsonValue().map(encode)
  const parts = fc.array(fc.oneof(json, fc.string(), fc.base64String()), { maxLength: 5 })
  fc.assert(fc.property(parts, (parts) => {
    readJws(parts.join('.'), 4096)
  }), { numRuns: 2000 })

  const real = fc.constantFrom(ec.x, ec.y, rsa.n, 'AQAB', 'EC', 'RSA', 'P-256')
  const member = fc.oneof({ weight: 4, arbitrary: real }, fc.string(), fc.jsonValue())
  const members = { kty: member, crv: member, x: member, y: member, n: member, e: member }
  const jwk = fc.oneof({ weight: 4, arbitrary: fc.record(members) }, fc.jsonValue())
  const algorithm = fc.constantFrom('ES256' as const, 'RS256' as const)
  const keys = createPublicKeys()
  fc.assert(fc.property(jwk, algorithm, (jwk, algorithm) => {
    const read = readJwk(jwk, algorithm)
    if (read !== undefined) keys.import(read)
  }), { numRuns: 5000 })
})
