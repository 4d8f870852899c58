// fastify-jwt-sessions as its README has it.
import { Cluster, Redis } from 'ioredis'
import { generateKeyPairSync } from 'node:crypto'
import authPlugin, { RedisStore } from '../../dist/index.mjs'
import { secret, serve } from '../serve.mjs'

const pair = (type, options) => {
  const { privateKey, publicKey } = generateKeyPairSync(type, options)
  return { private: privateKey, public: publicKey }
}
const device = 'Firefox on Linux x64' // 20 characters

const start = (makeSecret, options = {}) => (port, clustered) => serve(async (app) => {
  const { live = false, ...others } = options
  const redis = clustered ? new Cluster([{ host: '127.0.0.1', port }]) : new Redis({ port })
  const store = new RedisStore(redis, { prefix: `ours:${process.pid}:` })
  // A busy machine is no outage: what is measured is work, not waiting.
  await app.register(authPlugin, { secret: makeSecret(), store, storeTimeout: '30s', ...others })
  const guard = live
    ? { preHandler: (request) => request.authenticate({ live }) }
    : { onRequest: app.authenticate }
  app.post('/login', async (request, reply) => reply.login({ sub: request.body.sub }, { device }))
  app.get('/me', guard, async (request) => ({ sub: request.user.sub }))
})

// DPoP, with a proof by ES256 for each request.
const bound = { refreshToken: { bindings: ['dpop'] } }
const access = { authenticate: 'bearer' }
const all = { login: true, authenticate: 'bearer', refresh: 'refresh' }

export const contenders = {
  'ours HS256': { start: start(() => secret), ...all, turns: true },
  'ours EdDSA': { start: start(() => pair('ed25519')), ...all },
  'ours ES256': { start: start(() => pair('ec', { namedCurve: 'P-256' })), ...access },
  'ours RS256': { start: start(() => pair('rsa', { modulusLength: 2048 })), ...access },
  'ours HS256, push': { start: start(() => secret, { revocation: 'push' }), ...all },
  'ours HS256, cookie': {
    start: start(() => secret, { accessToken: { cookie: true } }),
    login: true,
    authenticate: 'page',
    pages: true,
    not: ['forged']
  },
  'ours HS256, use': {
    start: start(() => secret, { refreshToken: { spentOn: 'use' } }),
    refresh: 'refresh',
    turns: true
  },
  'ours HS256, form': {
    start: start(() => secret, { refreshToken: { transports: ['body'] } }), refresh: 'form'
  },
  'ours HS256, refresh bound': {
    start: start(() => secret, bound),
    login: 'boundLogin',
    authenticate: 'bearer',
    refresh: 'boundRefresh'
  },
  'ours HS256, both bound': {
    start: start(() => secret, { ...bound, accessToken: { bound: true } }),
    login: 'boundLogin',
    authenticate: 'bound',
    refresh: 'boundRefresh'
  },
  // For the loads device (proofs) and proven (refreshes, a proof before each).
  'ours HS256, DBSC': {
    start: start(() => secret, { refreshToken: { bindings: ['dbsc'] } }),
    device: true
  },
  'ours HS256, live': { start: start(() => secret, { live: true }), ...access }
}
