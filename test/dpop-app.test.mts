import { generateKeyPairSync, sign } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { createClient } from '../lib/client/client.mjs'
import { dpopFetch, type DeviceKey } from '../lib/client/dpop.mjs'
import authPlugin from '../lib/index.js'
import helpers from './support/app.js'
import proofs from './support/proofs.js'

const { minute, peek, secret, TestClock } = helpers

/** A key store that signs, and gives nothing else away: a Secure Enclave, StrongBox, an HSM. */
function createKey (): DeviceKey & { signatures: number } {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    jwk: publicKey.export({ format: 'jwk' }),
    signatures: 0,
    sign (data: Uint8Array) {
      this.signatures++
      return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' })
    }
  }
}

/** A server whose logins must be bound, with tokens in the body, and apps without a browser. */
async function serve (t: Test) {
  const clock = new TestClock()
  clock.ms = Date.now()
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(authPlugin, {
    secret,
    store: new authPlugin.MemoryStore(clock),
    accessToken: { bound: true },
    refreshToken: { bindings: ['dpop'], transports: ['body'] }
  })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }, { bound: true }))
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const prefix = `${origin}/auth`
  function install (key: DeviceKey, token?: string) {
    const kept = { token }
    const storage = {
      get: () => kept.token,
      set: (token: string) => { kept.token = token },
      clear: () => { kept.token = undefined }
    }
    const client = createClient({ prefix, storage, fetch: dpopFetch({ prefix, key }) })
    return { kept, client }
  }
  return { app, clock, origin, install }
}

t.test('an app with a key of its own logs in, asks, comes back and logs out', async (t) => {
  const { app, clock, origin, install } = await serve(t)
  const key = createKey()
  const { kept, client } = install(key)
  const login = await client.login(`${origin}/login`, {})
  t.match(await login.json(), { token_type: 'DPoP' })
  const cnf = { jkt: proofs.thumbprint(key.jwk as Record<string, unknown>) }
  t.match(peek(String(kept.token)), { cnf, via: 'body' })
  t.match(await (await client.fetch('/me')).json(), { sub: 'ada', cnf, bound: true })
  t.equal(key.signatures, 2)

  clock.pass(31 * minute)
  const back = install(key, kept.token)
  t.equal(await back.client.restore(), true)
  t.match(await (await back.client.fetch('/me')).json(), { sub: 'ada' })
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 2 }])

  const thief = install(createKey(), back.kept.token)
  t.equal(await thief.client.restore(), false)
  t.equal((await back.client.logout({ all: true })).status, 204)
  t.strictSame(await app.sessions.list('ada'), [])
  t.equal(back.kept.token, undefined)
})
