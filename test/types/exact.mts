// With exactOptionalPropertyTypes: what is optional may be undefined as well.
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import authPlugin, {
  MemoryStore, RedisStore, authenticate, type AuthPluginOptions, type Store
} from 'fastify-jwt-sessions'
import { createClient } from 'fastify-jwt-sessions/client'
import { dpopFetch } from 'fastify-jwt-sessions/client/dpop'

const no = process.env.NO
const options: AuthPluginOptions = {
  secret: 'x',
  redis: no === undefined ? new Redis() : undefined,
  store: no === undefined ? undefined : new MemoryStore(),
  accessToken: { lifetime: no, issuer: no, audience: no, clientId: no, cookie: undefined },
  refreshToken: {
    idleLifetime: no,
    absoluteLifetime: no,
    gracePeriod: no,
    spentOn: undefined,
    paired: undefined,
    transports: undefined,
    bindings: undefined,
    cookie: { name: no, secure: undefined, domain: no, path: no, sameSite: undefined }
  },
  maxSessions: undefined,
  prefix: no ?? '/auth',
  decorateAuthenticate: undefined,
  routes: { refresh: undefined, logout: undefined, jwks: undefined, device: undefined },
  trustedOrigins: undefined,
  storeTimeout: no,
  claims: undefined,
  onReuse: undefined,
  revocation: undefined,
  durability: no === undefined ? undefined : { replicas: 1, timeout: no }
}
const app = Fastify()
await app.register(authPlugin, options)
await app.register(authPlugin, { secret: 'x', redis: new Redis() })
const stores: Store[] = [new MemoryStore({ now: undefined }),
  new RedisStore(new Redis(), { prefix: no })]
app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }, {
  transport: undefined, device: no, remember: undefined, idleLifetime: no, replace: undefined
}))
app.post('/logout', async (_request, reply) => await reply.logout({ all: undefined }))
app.get('/me', { onRequest: authenticate }, async (request) => {
  const { sub, bound } = await request.authenticate({ live: undefined, maxAge: no })
  await app.sessions.update(sub, request.sid ?? '', { device: no, data: undefined })
  await app.sessions.revokeAll(sub, { except: no })
  return bound
})
const client = createClient({
  prefix: no,
  onSessionEnd: undefined,
  onToken: undefined,
  storage: undefined,
  timeout: undefined,
  fetch: no === undefined ? undefined : dpopFetch({ prefix: no, key: undefined, fetch: undefined })
})
export const made = [client, client.logout({ all: undefined }), stores]
