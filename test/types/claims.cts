// Claims typed by the package's own module, as CommonJS does it: without @fastify/jwt at hand.
import Fastify = require('fastify')
import authPlugin = require('fastify-jwt-sessions')
import testing = require('fastify-jwt-sessions/testing')

declare module 'fastify-jwt-sessions' {
  interface Claims { role: 'admin' | 'member' }
}

const app = Fastify()
const store: authPlugin.MemoryStore = new authPlugin.MemoryStore()
app.register(authPlugin, { secret: 'x', store })
app.get('/me', { onRequest: authPlugin.authenticate }, async ({ user }) => {
  const role: 'admin' | 'member' = user.role
  const times: number = user.iat + user.exp + user.auth_time
  // @ts-expect-error -- no such claim
  return [role, times, user.sid, user.email]
})
// @ts-expect-error -- a role is missing
app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
const headers = async () =>
  (await testing.loginAs(app, { sub: 'ada', role: 'member' })).headers
export = { headers }
