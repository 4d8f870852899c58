import Fastify from 'fastify'
import authPlugin, { MemoryStore } from 'fastify-jwt-sessions'

const { PORT = '3000', AUTH_SECRET = 'a secret for examples, and for nothing else' } = process.env
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])

const app = Fastify()

await app.register(authPlugin, {
  secret: AUTH_SECRET,
  store: new MemoryStore(),
  refreshToken: { transports: ['cookie', 'body'] }
})

app.post('/login', async (request, reply) => {
  const { username, password, native, device } = request.body
  if (!passwords.has(username) || passwords.get(username) !== password) {
    return await reply.code(403).send({ message: 'Wrong name or password' })
  }
  // Pages keep the cookie, which no script can read.
  if (native !== true) return await reply.login({ sub: username })
  // The app keeps its token where the system keeps secrets.
  return await reply.login({ sub: username }, { transport: 'body', device: String(device) })
})

app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)

console.log(await app.listen({ port: Number(PORT) }))
