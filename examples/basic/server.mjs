// npm start, then http://localhost:3000. Sessions are in memory, unless REDIS_URL names a Redis.
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, RedisStore } from 'fastify-jwt-sessions'
import { Redis } from 'ioredis'
import { nameDevice } from '../pages/name-device.mjs'
import { pages } from '../pages/pages.mjs'
import { loseResponse, removable, stunts, tellUser } from './stunts.mjs'

const { REDIS_URL, PORT = '3000', ACCESS_TOKEN_LIFETIME = '20s' } = process.env
const { AUTH_SECRET = 'a secret for a demo, and for nothing else' } = process.env
// What the environment makes wrong is said in a sentence; anything else is a bug of the demo.
process.once('uncaughtException', ({ code, message, stack }) => stop(code ? message : stack))

const passwords = { ada: 'lovelace', grace: 'hopper' }

const app = Fastify({ logger: { level: 'warn' }, forceCloseConnections: true })

const store = REDIS_URL ? new RedisStore(await connect(REDIS_URL)) : new MemoryStore()
const where = REDIS_URL
  ? 'in Redis: they outlive a restart of this process'
  : 'in memory, since REDIS_URL is not set: they end with this process ' +
    '(REDIS_URL=redis://… keeps them)'

await app.register(demo)
// The same users in cookie mode, beside it.
await app.register(pages, {
  prefix: '/pages',
  secret: AUTH_SECRET,
  store: removable(store),
  lifetime: ACCESS_TOKEN_LIFETIME,
  stylesheet: '/style.css'
})

await app.listen({ port: Number(PORT) }).catch(({ code, message }) => {
  stop(code === 'EADDRINUSE'
    ? `Port ${PORT} is taken. Choose another: PORT=${Number(PORT) + 1} npm start`
    : `The demo cannot listen on port ${PORT}: ${message}`)
})
console.log(`http://localhost:${app.server.address().port}\nSessions are ${where}.`)

/** A page whose script keeps the access token, by the client of this package. */
async function demo (app) {
  await app.register(authPlugin, {
    secret: AUTH_SECRET,
    store: removable(store),
    accessToken: { lifetime: ACCESS_TOKEN_LIFETIME }, // so short that you can watch it run out
    // By the browser behind TLS, where it can; here by a key of the page, if that box is ticked.
    refreshToken: { gracePeriod: '5s', bindings: ['dbsc', 'dpop'] },
    revocation: 'push', // logging a device out takes effect at once
    routes: { refresh: { onSend: loseResponse } },
    onReuse: ({ sub }) => {
      tellUser(sub, 'A copy of your sign-in was used. We have signed that device out.')
    }
  })

  app.post('/login', async (request, reply) => {
    const { username, password } = request.body ?? {}
    // Your own check of a password, a passkey or a single sign-on goes here.
    if (!Object.hasOwn(passwords, username) || passwords[username] !== password) {
      return await reply.code(403).send({ message: 'Wrong name or password' })
    }
    return await reply.login({ sub: username }, { device: nameDevice(request.headers['user-agent']) })
  })

  app.get('/me', { onRequest: app.authenticate }, async ({ user, sid }) => ({ name: user.sub, sid }))

  app.get('/devices', { onRequest: app.authenticate }, async ({ user, sid: current }) => {
    const sessions = await app.sessions.list(user.sub)
    return sessions.map(({ sid, device, bound, createdAt, refreshedAt }) => {
      // To the minute: who knows the very moment could refresh right after the owner.
      const seenAt = Math.max(createdAt, refreshedAt - refreshedAt % 60_000)
      return { sid, device, bound, createdAt, refreshedAt: seenAt, current: sid === current }
    })
  })

  app.delete('/devices/:sid', { onRequest: app.authenticate }, async ({ user, params }, reply) => {
    return await reply.code(await app.sessions.revoke(user.sub, params.sid) ? 204 : 404).send()
  })

  app.get('/where', async () => ({ where }))

  const folder = (name) => fileURLToPath(new URL(name, import.meta.url))
  await app.register(fastifyStatic, { root: folder('public') })
  const client = folder('../../dist/client')
  await app.register(fastifyStatic, { root: client, prefix: '/client/', decorateReply: false })
  await app.register(stunts, { passwords })
}

/** Connects to the Redis at a URL, or ends the process with a sentence. */
async function connect (url) {
  const redis = new Redis(url, { lazyConnect: true })
  let reason = 'not within 3 s'
  redis.on('error', ({ message }) => { reason = message })
  const deadline = setTimeout(() => redis.disconnect(), 3000)
  await redis.connect().catch(() => {
    const place = url.replace(/\/\/[^/]*@/, '//') // without the password
    stop(`REDIS_URL names ${place}, and no Redis answers there (${reason}). ` +
      'Start one, or leave REDIS_URL out: sessions are in memory then.')
  })
  clearTimeout(deadline)
  app.addHook('onClose', () => redis.disconnect())
  return redis
}

function stop (sentence) {
  console.error(sentence)
  process.exit(1)
}
