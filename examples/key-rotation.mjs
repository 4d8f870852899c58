import fastifyRedis from '@fastify/redis'
import Fastify from 'fastify'
import authPlugin from 'fastify-jwt-sessions'

const { PORT = '3000', REDIS_URL = 'redis://localhost', AUTH_SECRETS = 'a-secret-for-examples-and-for-nothing-else' } = process.env
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])

const app = Fastify()

await app.register(fastifyRedis, { url: REDIS_URL })
await app.register(authPlugin, {
  secret: AUTH_SECRETS.split(',') // the first signs, all verify
})

app.post('/login', async (request, reply) => {
  const { username, password } = request.body
  if (!passwords.has(username) || passwords.get(username) !== password) return await reply.code(403).send()
  return await reply.login({ sub: username })
})

app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)

console.log(await app.listen({ port: Number(PORT) }))
