// better-auth in Fastify, its sessions in Redis; users sign in anonymously, for no password should
// be hashed here.
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { fromNodeHeaders } from 'better-auth/node'
import { anonymous } from 'better-auth/plugins'
import { Redis } from 'ioredis'
import { secret, serve } from '../serve.mjs'

const start = (port) => serve(async (app) => {
  const redis = new Redis({ port, keyPrefix: 'better-auth:' })
  const auth = betterAuth({
    secret,
    baseURL: 'http://127.0.0.1',
    database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
    secondaryStorage: {
      get: (key) => redis.get(key),
      getAndDelete: (key) => redis.getdel(key),
      set: (key, value, ttl) => (ttl ? redis.set(key, value, 'EX', ttl) : redis.set(key, value)),
      delete: (key) => redis.del(key),
      increment: async (key, ttl) =>
        (await redis.multi().incr(key).expire(key, ttl, 'NX').exec())[0][1]
    },
    plugins: [anonymous()],
    rateLimit: { enabled: false },
    telemetry: { enabled: false }
  })
  app.post('/login', async (request, reply) => {
    const { headers } = await auth.api.signInAnonymous({
      headers: fromNodeHeaders(request.headers),
      returnHeaders: true
    })
    return reply.header('set-cookie', headers.getSetCookie()).send({})
  })
  app.get('/me', async (request, reply) => {
    const session = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) })
    return session ? { sub: session.user.id } : reply.code(401).send({ error: 'Unauthorized' })
  })
})

export const contenders = {
  'better-auth': { start, login: true, authenticate: 'cookie', not: ['many'] } // 20,000 users take it minutes
}
