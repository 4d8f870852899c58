// The user's devices: list them, end one, end the others; change of password; a route that wants a
// recent login.
import { subscribe } from 'node:diagnostics_channel'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, RedisStore } from 'fastify-jwt-sessions'
import { Redis } from 'ioredis'

const { PORT = '3000', REDIS_URL } = process.env
const { AUTH_SECRET = 'a secret for examples, and for nothing else' } = process.env
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])

const app = Fastify()

await app.register(authPlugin, {
  secret: AUTH_SECRET,
  store: REDIS_URL ? new RedisStore(connect(REDIS_URL)) : new MemoryStore(),
  refreshToken: { bindings: ['dbsc'] },
  revocation: 'push'
})

app.post('/login', async (request, reply) => {
  const { username, password } = request.body ?? {}
  if (!passwords.has(username) || passwords.get(username) !== password) {
    return await reply.code(403).send({ message: 'Wrong name or password' })
  }
  return await reply.login({ sub: username }, { device: request.headers['user-agent'] })
})

// Each device with a mark on the one that asks. `bound`: its cookies are worth nothing elsewhere.
app.get('/devices', { onRequest: app.authenticate }, async ({ user, sid: current }) => {
  const sessions = await app.sessions.list(user.sub)
  return sessions.map(({ sid, device, bound, createdAt, refreshedAt }) => {
    // To the minute: who knows the very moment could refresh right after the owner.
    const seenAt = Math.max(createdAt, refreshedAt - refreshedAt % 60_000)
    return { sid, device, bound, createdAt, refreshedAt: seenAt, current: sid === current }
  })
})

// "Log out" beside one of them. The user's own name goes with it, so that nobody can end
// another's.
app.delete('/devices/:sid', { onRequest: app.authenticate }, async ({ user, params }, reply) => {
  return await reply.code(await app.sessions.revoke(user.sub, params.sid) ? 204 : 404).send()
})

// "Log out all other devices".
app.delete('/devices', { onRequest: app.authenticate }, async ({ user, sid }) => {
  return { ended: await app.sessions.revokeAll(user.sub, { except: sid }) }
})

// "Log out everywhere", here too.
app.post('/leave', { onRequest: app.authenticate }, async (_request, reply) => {
  await reply.logout({ all: true })
  return await reply.code(204).send()
})

// Whoever knows the password may change it. First it changes, then the sessions end: a login with
// the old one comes too late.
app.put('/password', { onRequest: app.authenticate }, async ({ user, sid, body }, reply) => {
  if (passwords.get(user.sub) !== body.current) {
    return await reply.code(403).send({ message: 'Wrong password' })
  }
  passwords.set(user.sub, body.next)
  return { ended: await app.sessions.revokeAll(user.sub, { except: sid }) }
})

// A login of the last five minutes, and a session that the store knows to live at this very moment.
const recently = async (request) => await request.authenticate({ maxAge: '5m', live: true })
app.delete('/account', { onRequest: recently }, async ({ user }, reply) => {
  passwords.delete(user.sub)
  await reply.logout({ all: true })
  return await reply.code(204).send()
})

// While this process may have missed news of ended sessions, routes with this hook ask the store.
let doubtfulUntil = 0
subscribe('fastify-jwt-sessions:store-error', () => { doubtfulUntil = Date.now() + 5000 })
const carefully = async (request) =>
  await request.authenticate({ live: Date.now() < doubtfulUntil })
app.get('/messages', { onRequest: carefully }, async ({ user }) => [`Hello ${user.sub}`])

console.log(await app.listen({ port: Number(PORT) }))

function connect (url) {
  const redis = new Redis(url)
  redis.on('error', console.error)
  app.addHook('onClose', () => redis.disconnect())
  return redis
}
