// @mgcrea/fastify-session with its sessions in Redis, as its README has it.
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@mgcrea/fastify-session'
import { RedisStore } from '@mgcrea/fastify-session-redis-store'
import { Redis } from 'ioredis'
import { idleLifetime, secret, serve } from '../serve.mjs'

const start = (port) => serve(async (app) => {
  await app.register(fastifyCookie)
  await app.register(fastifySession, {
    secret,
    store: new RedisStore({
      client: new Redis({ port }), prefix: 'mgcrea-session:', ttl: idleLifetime
    }),
    cookie: { secure: false, maxAge: idleLifetime },
    saveUninitialized: false
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
  '@mgcrea/fastify-session': {
    start, authenticate: 'cookie', pages: true, not: ['many', 'forged']
  }
}
