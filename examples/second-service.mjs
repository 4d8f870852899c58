import Fastify from 'fastify'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { PORT = '3001', ISSUER = 'http://localhost:3000/auth' } = process.env
const metadata = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json()
if (metadata.issuer !== ISSUER) throw new Error(`${ISSUER} calls itself ${metadata.issuer}`)

const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
const expected = { issuer: ISSUER, audience: 'orders', typ: 'at+jwt' }

const app = Fastify()

app.get('/orders', async ({ headers }, reply) => {
  const token = /^Bearer (.+)$/i.exec(headers.authorization)?.[1] ?? ''
  const verified = await jwtVerify(token, keys, expected).catch(() => undefined)
  if (verified !== undefined) return { ordersOf: verified.payload.sub }
  return await reply.code(401).header('www-authenticate', 'Bearer').send()
})

console.log(await app.listen({ port: Number(PORT) }))
