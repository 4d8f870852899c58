// What HS256 tokens cost, signed and read directly, and by the library under @fastify/jwt. npm
// --prefix benchmark run tokens
import fastJwt from 'fast-jwt'
import { createHmac, createSecretKey } from 'node:crypto'
import { createHs256 } from '../dist/tokens/hs256.js'
import { spread } from './report.mjs'

const key = Buffer.from('a secret of the benchmark, 32 bytes and more')
const [typ, kid] = ['rt+jwt', 'abcdefgh']
const payload = {
  key: 'x'.repeat(22),
  tag: 'y'.repeat(20),
  gen: 17,
  via: 'cookie',
  exp: 1_800_000_000
}
const sign = fastJwt.createSigner({
  key,
  algorithm: 'HS256',
  kid,
  header: { typ },
  noTimestamp: true
})
const verify = fastJwt.createVerifier({
  key,
  algorithms: ['HS256'],
  checkTyp: typ,
  ignoreExpiration: true,
  requiredClaims: Object.keys(payload)
})
const direct = createHs256(key, typ, kid)
const [token, own] = [sign(payload), direct.sign(payload)]
const forged = own.slice(0, -4) + 'xxxx'
const text = own.slice(0, own.lastIndexOf('.'))
const secret = createSecretKey(key)
const rounds = 30_000

const steps = {
  MAC: () => createHmac('sha256', secret).update(text).digest('base64url'),
  'sign, library': () => sign(payload),
  'sign, direct': () => direct.sign(payload),
  'verify, library': () => verify(token),
  'verify, direct': () => direct.verify(own),
  'forged, library': () => { try { verify(forged) } catch {} },
  'forged, direct': () => direct.verify(forged)
}
const samples = {}
for (let pass = 0; pass < 9; pass++) {
  for (const [name, step] of Object.entries(steps)) {
    const before = process.cpuUsage()
    for (let i = 0; i < rounds; i++) step()
    const { user, system } = process.cpuUsage(before)
    ;(samples[name] ??= []).push((user + system) / rounds)
  }
}
for (const [name, own] of Object.entries(samples)) {
  const { median, min, max } = spread(own)
  console.log(name.padEnd(16), `${median.toFixed(1)} µs (${min.toFixed(1)}–${max.toFixed(1)})`)
}
