import Fastify from 'fastify'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { PORT = '3001', AUTH_URL = 'http://localhost:3000' } = process.env
const keys = createRemoteJWKSet(new URL('/auth/jwks.json', AUTH_URL))
const expected = { issuer: 'https://login.example.com', audience: 'orders', typ: 'at+jwt', algorithms: ['EdDSA'] }

const app = Fastify()

app.get('/orders', async ({ headers }, reply) => {
  const token = /^Bearer (.+)$/i.exec(headers.authorization)?.[1] ?? ''
  const verified = await jwtVerify(token, keys, expected).catch(() => undefined)
  if (verified === undefined) return await reply.code(401).header('www-authenticate', 'Bearer').send()
  return { ordersOf: verified.payload.sub }
})

console.log(await app.listen({ port: Number(PORT) }))
