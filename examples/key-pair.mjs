import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import authPlugin, { MemoryStore } from 'fastify-jwt-sessions'

const { PORT = '3000', AUTH_KEY_FILE } = process.env
// openssl genpkey -algorithm ed25519 -out auth.pem
const privateKey = AUTH_KEY_FILE ? readFileSync(AUTH_KEY_FILE) : generateKeyPairSync('ed25519').privateKey
const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])

const app = Fastify()

await app.register(authPlugin, {
  secret: { private: privateKey },
  store: new MemoryStore(),
  accessToken: { issuer: 'https://login.example.com', audience: 'orders' },
  routes: { jwks: true }
})

app.post('/login', async (request, reply) => {
  const { username, password } = request.body
  if (!passwords.has(username) || passwords.get(username) !== password) {
    return await reply.code(403).send()
  }
  return await reply.login({ sub: username })
})

app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)

console.log(await app.listen({ port: Number(PORT) }))
