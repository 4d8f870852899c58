import Fastify from 'fastify'
import authPlugin, { MemoryStore } from 'fastify-jwt-sessions'

const { PORT = '3000', AUTH_SECRET = 'a secret for examples, and for nothing else' } = process.env
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])
const roles = new Map([['ada', 'admin'], ['grace', 'author']]) // your database

const app = Fastify()

await app.register(authPlugin, {
  secret: AUTH_SECRET,
  store: new MemoryStore(),
  accessToken: { lifetime: '5m' }, // no role is older than that
  // null: no such user any more
  claims: async ({ sub }) => roles.has(sub) ? { role: roles.get(sub) } : null
})

app.post('/login', async (request, reply) => {
  const { username, password } = request.body
  if (!passwords.has(username) || passwords.get(username) !== password) {
    return await reply.code(403).send({ message: 'Wrong name or password' })
  }
  return await reply.login({ sub: username, role: roles.get(username) })
})

app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)

async function admins ({ user }, reply) {
  if (user.role !== 'admin') return await reply.code(403).send()
}

app.put(
  '/roles/:name',
  { onRequest: [app.authenticate, admins] },
  async ({ params, body }, reply) => {
    roles.set(params.name, body.role)
    return await reply.code(204).send()
  }
)

app.delete('/roles/:name', { onRequest: [app.authenticate, admins] }, async ({ params }, reply) => {
  roles.delete(params.name)
  return await reply.code(204).send()
})

console.log(await app.listen({ port: Number(PORT) }))
