// What an application sees of the package, through `import`. Every @ts-expect-error must still be
// an error, and no type may be `any`.
import '@fastify/jwt'
import Fastify, {
  type FastifyPluginAsync,
  type FastifyRequest,
  type onRequestHookHandler,
  type preHandlerAsyncHookHandler,
  type preHandlerHookHandler
} from 'fastify'
import authPlugin, { MemoryStore, RedisStore } from 'fastify-jwt-sessions'
import type {
  AuthPluginOptions,
  AuthenticateHook,
  AuthenticateOptions,
  ClaimsHook,
  Duration,
  LoginClaims,
  LoginOptions,
  LogoutOptions,
  RedisClient,
  Reuse,
  Secret,
  Session,
  SessionClaims,
  SessionEvent,
  Sessions,
  Store,
  TokenResponse,
  Transport,
  User
} from 'fastify-jwt-sessions'
import { createClient, type Client } from 'fastify-jwt-sessions/client'
import { dpopFetch, type DeviceKey } from 'fastify-jwt-sessions/client/dpop'
import { same, type Same } from './same.mjs'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: { sub: string; role: 'admin' | 'reader' }
    user: { sub: string; role: 'admin' | 'reader'; sid: string; exp: number }
  }
}

const secret = process.env.AUTH_SECRET ?? ''
const app = Fastify()
await app.register(authPlugin, { secret, store: new MemoryStore() })

// Options
await app.register(authPlugin, {
  secret: [{ private: secret, public: Buffer.from(secret) }, Buffer.from(secret), secret],
  accessToken: { lifetime: 300, issuer: 'us', audience: ['a', 'b'] },
  refreshToken: {
    idleLifetime: '14d',
    absoluteLifetime: '90d',
    gracePeriod: 0,
    paired: true,
    transports: ['cookie', 'body'],
    cookie: { name: 'r', sameSite: 'lax', domain: 'example.com' }
  },
  maxSessions: Infinity,
  prefix: '/auth',
  routes: { refresh: { config: {}, onRequest: app.authenticate }, logout: false, jwks: true },
  trustedOrigins: ['https://example.com'],
  storeTimeout: 0.5,
  claims: async (session, request) => {
    same<Same<typeof session, Session>>(true)
    same<Same<typeof request, FastifyRequest>>(true)
    return session.claims.role === 'admin' ? { role: 'admin' } : null
  },
  onReuse: ({ sid, distance }, { ip }) => {
    app.log.info({ sid, distance, ip })
  },
  revocation: 'push'
})
// @ts-expect-error -- a secret is required
await app.register(authPlugin, {})
// @ts-expect-error -- an unknown option
await app.register(authPlugin, { secret, secrets: [] })
// @ts-expect-error -- no such transport
await app.register(authPlugin, { secret, refreshToken: { transports: ['query'] } })
// @ts-expect-error -- the hook must answer claims of the application's type, or null
await app.register(authPlugin, { secret, claims: () => ({ role: 'owner' }) })
// @ts-expect-error -- not a client
await app.register(authPlugin, { secret, redis: { get: () => 1 } })

// Stores
const named: [MemoryStore, RedisStore] = [
  new MemoryStore({ now: Date.now }),
  new RedisStore({} as RedisClient, { prefix: 'x:' })
]
const stores: Store[] = [...named]
await app.register(authPlugin, { secret, store: stores[0] ?? named[0] })

// Decorators and claims
same<Same<User['role'], 'admin' | 'reader'>>(true)
same<Same<User['auth_time'], number>>(true)
same<Same<SessionClaims, { sub: string; role: 'admin' | 'reader' }>>(true)
app.post('/login', async (request, reply) => {
  same<Same<typeof request.sid, string | null>>(true)
  // @ts-expect-error -- the claims are the application's: no such role
  await reply.login({ sub: 'ada', role: 'owner' })
  // @ts-expect-error -- nor without sub
  await reply.login({ role: 'admin' })
  // @ts-expect-error -- nor an unknown option
  await reply.login({ sub: 'ada', role: 'admin' }, { remembr: false })
  const response = await reply.login(
    { sub: 'ada', role: 'admin' },
    { transport: 'body', device: 'phone', remember: false }
  )
  same<Same<typeof response, TokenResponse>>(true)
  same<Same<typeof response.refresh_token, string | undefined>>(true)
  return response
})
app.post('/logout', async (_request, reply) => {
  same<Same<ReturnType<typeof reply.logout>, Promise<boolean>>>(true)
  await reply.logout({ all: true })
})
app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user.role)
app.get('/live', async (request) => {
  const user = await request.authenticate({ live: true, maxAge: '5m' })
  same<Same<typeof user, User>>(true)
  // @ts-expect-error -- no such claim
  return user.email
})
const sessions: Sessions = app.sessions
same<Same<ReturnType<typeof sessions.list>, Promise<Session[]>>>(true)
same<Same<ReturnType<typeof sessions.revoke>, Promise<boolean>>>(true)
same<Same<ReturnType<typeof sessions.revokeAll>, Promise<number>>>(true)
await sessions.revokeAll('ada', { except: 'sid' })

// Wherever Fastify takes a hook
app.get('/1', { onRequest: app.authenticate }, async () => 1)
app.get('/2', { onRequest: [app.authenticate] }, async () => 2)
app.get('/3', { preHandler: app.authenticate }, async () => 3)
app.get(
  '/4',
  {
    preHandler: [
      app.authenticate,
      async (request) => {
        await request.authenticate()
      }
    ],
    preValidation: app.authenticate
  },
  async () => 4
)
app.get(
  '/7',
  { preHandler: async (request) => await request.authenticate({ live: true }) },
  async () => 7
)
app.get('/7b', { preHandler: (request) => request.authenticate({ live: true }) }, async () => 7)
app.addHook('onRequest', app.authenticate)
app.addHook('preHandler', app.authenticate)
app.route({ method: 'GET', url: '/8', onRequest: app.authenticate, handler: async () => 8 })
const hooks: [
  onRequestHookHandler,
  preHandlerHookHandler,
  preHandlerAsyncHookHandler,
  AuthenticateHook
] = [app.authenticate, app.authenticate, app.authenticate, app.authenticate]
const scoped: FastifyPluginAsync = async (scope) => {
  scope.addHook('onRequest', scope.authenticate)
}
await app.register(scoped)
same<Same<ReturnType<AuthenticateHook>, Promise<void>>>(true)

// Another server
const http2 = Fastify({ http2: true })
await http2.register(authPlugin, { secret, store: new MemoryStore() })
http2.get('/12', { onRequest: http2.authenticate }, async ({ user }) => user.sub)

// Names
same<Same<Duration, number | string>>(true)
same<Same<Transport, 'cookie' | 'body'>>(true)
same<Same<Parameters<ClaimsHook>[0], Session>>(true)
same<Same<LoginClaims['role'], 'admin' | 'reader'>>(true)
same<Same<Reuse['distance'], number>>(true)
const event: SessionEvent = { sid: 'x', generation: 1, msSinceRotation: 5, distance: 1 }
const options: [AuthPluginOptions, AuthenticateOptions, LoginOptions, LogoutOptions, Secret] = [
  { secret },
  { live: true },
  { device: 'x' },
  { all: true },
  secret
]
const client: Client = createClient({ prefix: 'https://example.com/auth' })
same<Same<typeof client.restore, () => Promise<boolean>>>(true)
const key: DeviceKey = { jwk: { kty: 'EC' }, sign: async (data) => new Uint8Array(data.length) }
const proving: Client = createClient({ fetch: dpopFetch({ prefix: '/auth', key }) })
// @ts-expect-error -- a key signs
dpopFetch({ key: { jwk: {} } })
export { client, event, hooks, options, proving }
