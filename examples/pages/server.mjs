import Fastify from 'fastify'
import { MemoryStore, RedisStore } from 'fastify-jwt-sessions'
import { Redis } from 'ioredis'
import { pages } from './pages.mjs'

const { PORT = '3000', REDIS_URL, ACCESS_TOKEN_LIFETIME = '30m' } = process.env
const { AUTH_SECRET = 'a secret for examples, and for nothing else' } = process.env

const app = Fastify({ forceCloseConnections: true })

await app.register(pages, {
  secret: AUTH_SECRET,
  store: REDIS_URL ? new RedisStore(connect(REDIS_URL)) : new MemoryStore(),
  lifetime: ACCESS_TOKEN_LIFETIME
})

console.log(await app.listen({ port: Number(PORT) }))

function connect (url) {
  const redis = new Redis(url)
  redis.on('error', console.error)
  app.addHook('onClose', () => redis.disconnect())
  return redis
}
