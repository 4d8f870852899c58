import type { FastifyInstance } from 'fastify'
import type { RouteExtras } from '../options/options'
import type { Settings } from '../settings'

/** How long caches may keep the keys, and the document that names them, in seconds. */
const maxAge = 300

/** What caches are told of public documents. */
export const publicly = `public, max-age=${maxAge}`

/** Registers `GET {prefix}/jwks.json`: the public keys of the ring. @see RFC 7517 §5 */
export function registerJwks (
  scope: FastifyInstance, { ring }: Settings, options: RouteExtras
): void {
  const keys = ring.flatMap(({ jwk }) => jwk ?? [])
  scope.get('/jwks.json', options, async (_request, reply) => {
    reply.header('cache-control', publicly)
    return { keys }
  })
}
