import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import authPlugin, { MemoryStore } from 'fastify-jwt-sessions'

const { PORT = '3000', ISSUER = 'http://localhost:3000/auth', AUTH_KEY_FILE } = process.env
// openssl genpkey -algorithm ed25519 -out auth.pem
const { privateKey } = AUTH_KEY_FILE
  ? { privateKey: readFileSync(AUTH_KEY_FILE) }
  : generateKeyPairSync('ed25519')
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])

const app = Fastify()

await app.register(authPlugin, {
  secret: { private: privateKey },
  store: new MemoryStore(),
  accessToken: { issuer: ISSUER, audience: 'orders' }, // the issuer is where the routes are
  routes: { metadata: true } // by which others find the public keys
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
