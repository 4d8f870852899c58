import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import authPlugin, { type LoginClaims } from '../../lib/index'
import { secret } from '../support/app'

type Options = Parameters<typeof authPlugin>[1]

/**
 * Builds an application with a login, a protected route and the plugin's own; `ready` is awaited.
 */
export async function build (
  options: Omit<Options, 'secret'>, server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = fastify(server)
  await app.register(authPlugin, { secret, ...options })
  app.post<{ Params: { sub: string } }>(
    '/login/:sub',
    async (request, reply) => await reply.login({ sub: request.params.sub } as LoginClaims)
  )
  app.get('/me', { onRequest: app.authenticate }, async (request) => request.user)
  app.get('/live', async (request) => await request.authenticate({ live: true }))
  app.post<{ Params: { sub: string, sid: string } }>('/revoke/:sub/:sid', async ({ params }) =>
    ({ ended: await app.sessions.revoke(params.sub, params.sid) }))
  app.post<{ Params: { sub: string } }>('/revoke-all/:sub', async ({ params }) =>
    ({ ended: await app.sessions.revokeAll(params.sub) }))
  await app.ready()
  return app
}

/** Builds an application that closes when the test `t` ends. */
export async function appFor (
  t: { teardown(f: () => unknown): unknown },
  options: Omit<Options, 'secret'>
): Promise<FastifyInstance> {
  const app = await build(options)
  t.teardown(() => app.close())
  return app
}
