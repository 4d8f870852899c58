import type { FastifyRequest } from 'fastify'
import { NotRegisteredError, refuse } from '../errors'
import type { Authenticable, AuthenticateHook } from './authenticate'

/** Where an instance keeps the guard of the plugin that is registered there. */
export const guardOf = Symbol('the guard of fastify-jwt-sessions')

/**
 * A hook for `onRequest` or `preHandler` that is there before any registration: when a request
 * comes, it looks up the plugin in the scope of the route. It fails closed.
 * @throws NOT_REGISTERED if there is none
 */
export const authenticate = function (
  request: Authenticable, reply?: unknown, done?: (error?: Error) => void
): unknown {
  const { server } = request as FastifyRequest
  const guard = (server as unknown as { [guardOf]?: AuthenticateHook } | undefined)?.[guardOf]
  if (guard !== undefined) return guard(request, reply, done as () => void)
  const error = refuse(NotRegisteredError, 'no registration in the scope of this route')
  if (done === undefined) return Promise.reject(error)
  // A hook that has called `done` returns nothing: Fastify takes a promise for a second "go on".
  done(error)
  return undefined
} as AuthenticateHook
