import Fastify from 'fastify'

export const secret = 'a secret of the benchmark, 32 bytes and more'
export const idleLifetime = 14 * 24 * 3600

/** A Fastify application with the routes that are the same for every contender. */
export async function serve (register) {
  const app = Fastify()
  await register(app)
  return listen(app)
}

/** Starts an application and answers its port. */
export async function listen (app) {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app.server.address().port
}

/** A token response. */
export const tokens = (token) => ({ access_token: token, token_type: 'Bearer', expires_in: 1800 })
