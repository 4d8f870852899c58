import Fastify from 'fastify'
import authPlugin, { MemoryStore } from 'fastify-jwt-sessions'

const { PORT = '3000', AUTH_SECRET = 'a secret for examples, and for nothing else' } = process.env
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])

const app = Fastify()

await app.register(authPlugin, {
  secret: AUTH_SECRET,
  store: new MemoryStore(),
  refreshToken: { bindings: ['dpop'], transports: ['cookie', 'body'] }
})

app.post('/login', async (request, reply) => {
  const { username, password, native } = request.body
  if (!passwords.has(username) || passwords.get(username) !== password) {
    return await reply.code(403).send({ message: 'Wrong name or password' })
  }
  // The app must prove its key; a page that has none is let in without.
  const options = native === true ? { transport: 'body', bound: true } : {}
  return await reply.login({ sub: username }, options)
})

app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)

console.log(await app.listen({ port: Number(PORT) }))
