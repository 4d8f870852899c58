// What an application sees of the package, through `require`.
import Fastify = require('fastify')
import authPlugin = require('fastify-jwt-sessions')

const { MemoryStore, RedisStore } = authPlugin
const app = Fastify()
app.register(authPlugin, { secret: 'x', store: new MemoryStore() })
app.register(authPlugin.default, { secret: 'x', store: new authPlugin.MemoryStore() })
app.register(authPlugin.authPlugin, { secret: 'x', store: new authPlugin.MemoryStore() })
// @ts-expect-error -- a secret is required
app.register(authPlugin, {})
const options: authPlugin.AuthPluginOptions = { secret: 'x', accessToken: { lifetime: '5m' } }
const session = async (): Promise<authPlugin.Session | undefined> =>
  (await app.sessions.list('ada'))[0]
app.get('/me', { onRequest: app.authenticate }, async ({ sid }) => sid)
export = { options, session, RedisStore }
