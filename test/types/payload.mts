// Claims typed by the payload of @fastify/jwt: what the plugin adds is in User, and by a call.
import '@fastify/jwt'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, type SessionClaims, type User } from 'fastify-jwt-sessions'
import { same, type Same } from './same.mjs'

declare module '@fastify/jwt' {
  interface FastifyJWT { payload: { sub: string, role: 'admin' | 'member' } }
}

same<Same<SessionClaims, { sub: string, role: 'admin' | 'member' }>>(true)
const app = Fastify()
await app.register(authPlugin, { secret: 'x', store: new MemoryStore() })
app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user.role)
app.get('/again', async (request) => {
  const user: User = await request.authenticate()
  same<Same<typeof user.role, 'admin' | 'member'>>(true)
  same<Same<typeof user.sid, string>>(true)
  same<Same<typeof user.auth_time, number>>(true)
  return user.exp - user.iat
})
