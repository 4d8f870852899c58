// Claims typed by the package's own module, as an ES module does it: without @fastify/jwt at hand.
import { subscribe } from 'node:diagnostics_channel'
import Fastify from 'fastify'
import authPlugin, {
  MemoryStore, type Claims, type EventName, type LoginClaims, type Session, type SessionClaims,
  type SessionEvents, type User
} from 'fastify-jwt-sessions'
import { loginAs, storeContract, type TestLogin } from 'fastify-jwt-sessions/testing'
import { same, type Same } from './same.mjs'

declare module 'fastify-jwt-sessions' {
  interface Claims { role: 'admin' | 'member' }
}

same<Same<keyof Claims, 'role'>>(true)
same<Same<SessionClaims['role'], 'admin' | 'member'>>(true)
same<Same<LoginClaims['sub'], string>>(true)

const app = Fastify()
await app.register(authPlugin, {
  secret: 'x',
  store: new MemoryStore(),
  claims: ({ claims }) => claims.role === 'admin' ? { role: 'member' } : null
})
app.post('/login', async (_request, reply) => {
  // @ts-expect-error -- no such role
  await reply.login({ sub: 'ada', role: 'owner' })
  // @ts-expect-error -- a role is missing
  await reply.login({ sub: 'ada' })
  return await reply.login({ sub: 'ada', role: 'admin' })
})
app.get('/me', { onRequest: app.authenticate }, async (request) => {
  const { user } = request
  same<Same<typeof user.role, 'admin' | 'member'>>(true)
  same<Same<typeof user.sub | typeof user.sid, string>>(true)
  same<Same<typeof user.iat | typeof user.exp | typeof user.auth_time, number>>(true)
  same<Same<typeof user.bound, boolean | undefined>>(true)
  // @ts-expect-error -- no such claim
  const email: string = user.email
  const again: User = await request.authenticate()
  const name: Session['claims']['role'] = again.role
  return { email, name }
})

// Tests of one's own
const login: TestLogin = await loginAs(app, { sub: 'ada', role: 'admin' }, { device: 'a test' })
await app.inject({ url: '/me', headers: login.headers })
await app.inject({ url: '/me', cookies: login.cookies })
// @ts-expect-error -- a role is missing
await loginAs(app, { sub: 'ada' })
storeContract(() => ({ store: new MemoryStore(), pass: () => {} }), {
  test: (title: string, body: () => Promise<void>) => { console.log(title, body) }
})
const http2 = Fastify({ http2: true })
await loginAs(http2, { sub: 'ada', role: 'admin' })

// Events
subscribe('fastify-jwt-sessions:repeat', (message) => {
  const { streak, sid, sub, prefix, msSinceRotation } = message as SessionEvents['repeat']
  const numbers: number[] = [streak, msSinceRotation]
  const names: string[] = [sid, sub, prefix]
  console.log(numbers, names)
})
same<Same<SessionEvents['store-error']['error'], Error>>(true)
same<Same<SessionEvents['unproven']['sub'], string | undefined>>(true)
same<Same<EventName, keyof SessionEvents>>(true)
// @ts-expect-error -- a login has no streak
type None = SessionEvents['login']['streak']
export type { None }
