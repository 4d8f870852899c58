// Without an augmentation of @fastify/jwt: claims may be anything, and cannot be taken for
// something.
import Fastify from 'fastify'
import authPlugin, { MemoryStore, type SessionClaims } from 'fastify-jwt-sessions'
import { same, type Same } from './same.mjs'

const app = Fastify()
await app.register(authPlugin, { secret: 'x', store: new MemoryStore() })
app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada', anything: [1] }))
app.get('/me', { onRequest: app.authenticate }, async (request) => {
  const user = await request.authenticate()
  same<Same<typeof user.sub, string>>(true)
  same<Same<typeof user.sid, string>>(true)
  same<Same<typeof user.role, unknown>>(true)
  same<Same<SessionClaims, Record<string, unknown>>>(true)
  return user
})
