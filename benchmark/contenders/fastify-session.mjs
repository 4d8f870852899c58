// @fastify/session, with its sessions in Redis and in memory: by default, and tuned so that it
// writes sessions only when they change.
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { idleLifetime, secret, serve } from '../serve.mjs'

const tuned = { saveUninitialized: false, rolling: false }

/** Without a store @fastify/session keeps sessions in memory. */
async function inRedis (port) {
  const client = await createClient({ socket: { port } }).connect()
  return { store: new RedisStore({ client, prefix: `fastify-session:${process.pid}:` }) }
}

const start = (createStore, options) => (port) => serve(async (app) => {
  await app.register(fastifyCookie)
  await app.register(fastifySession, {
    secret,
    ...await createStore(port),
    cookie: { secure: false, maxAge: idleLifetime * 1000 },
    ...options
  })
  app.post('/login', async (request) => {
    request.session.set('sub', request.body.sub)
    return {}
  })
  app.get('/me', async (request, reply) => {
    const user = request.session.get('sub')
    return user ? { sub: user } : reply.code(401).send({ error: 'Unauthorized' })
  })
})

const pages = { authenticate: 'cookie', pages: true, not: ['many', 'forged', 'login'] }

export const contenders = {
  '@fastify/session': {
    start: start(inRedis, tuned), login: true, authenticate: 'cookie', pages: true
  },
  '@fastify/session, defaults': { start: start(inRedis), ...pages },
  '@fastify/session, memory': { start: start(() => ({}), tuned), ...pages },
  '@fastify/session, memory, defaults': { start: start(() => ({})), ...pages }
}
