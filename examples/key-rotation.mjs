import Fastify from 'fastify'
import authPlugin from 'fastify-jwt-sessions'
import { Redis } from 'ioredis'

const { PORT = '3000', REDIS_URL = 'redis://localhost' } = process.env
const { AUTH_SECRETS = 'a-secret-for-examples-and-for-nothing-else' } = process.env
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])

const app = Fastify()

const redis = new Redis(REDIS_URL)
redis.on('error', console.error)
app.addHook('onClose', () => redis.disconnect())

await app.register(authPlugin, {
  secret: AUTH_SECRETS.split(','), // the first signs, all verify
  redis
})

app.post('/login', async (request, reply) => {
  const { username, password } = request.body
  if (!passwords.has(username) || passwords.get(username) !== password) {
    return await reply.code(403).send({ message: 'Wrong name or password' })
  }
  return await reply.login({ sub: username })
})

app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)

console.log(await app.listen({ port: Number(PORT) }))
