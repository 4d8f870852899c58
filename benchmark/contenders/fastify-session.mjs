// @fastify/session with its sessions in Redis, written only when they change.
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { idleLifetime, secret, serve } from '../serve.mjs'

const start = (port) => serve(async (app) => {
  const client = await createClient({ socket: { port } }).connect()
  await app.register(fastifyCookie)
  await app.register(fastifySession, {
    secret,
    store: new RedisStore({ client, prefix: 'fastify-session:' }),
    cookie: { secure: false, maxAge: idleLifetime * 1000 },
    saveUninitialized: false,
    rolling: false
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

export const contenders = {
  '@fastify/session': { start, login: true, authenticate: 'cookie' }
}
