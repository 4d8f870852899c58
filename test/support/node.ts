// One node of an application, in a process of its own. Arguments: the socket of its Redis, and the
// plugin's options as JSON. Each message deploys it anew, with those options. It tells its address,
// or what went wrong.
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import authPlugin, { type AuthPluginOptions } from '../../lib/index'

const [path = '', options] = process.argv.slice(2)
const redis = new Redis({ path })
let app: FastifyInstance | undefined

async function deploy (options: AuthPluginOptions): Promise<string> {
  await app?.close()
  app = Fastify({ forceCloseConnections: true })
  await app.register(authPlugin, { redis, ...options })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

const tell = (options: AuthPluginOptions) => {
  deploy(options)
    .catch(String)
    .then((answer) => process.send?.(answer))
}
if (options !== undefined) tell(JSON.parse(options))
process.on('message', tell)
// It lives no longer than the test that has forked it.
process.on('disconnect', () => process.exit())
