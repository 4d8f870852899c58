import type { FastifyInstance } from 'fastify'
import type { RouteExtras } from '../options/options'
import type { Settings } from '../settings'
import { publicly } from './jwks'

/**
 * Registers `GET {prefix}/.well-known/openid-configuration`. It has the name that OpenID Connect
 * gave it, since that is where libraries look that know an issuer only; there is no ID token.
 */
export function registerMetadata (
  scope: FastifyInstance, settings: Settings, options: RouteExtras
): void {
  const metadata = describeServer(settings)
  scope.get('/.well-known/openid-configuration', options, async (_request, reply) => {
    reply.header('cache-control', publicly)
    return metadata
  })
}

/** Describes what OAuth clients, and services that verify, can do here. @see RFC 8414 §2 */
function describeServer ({ accessToken, refreshToken, routes }: Settings): object {
  const { bindings, transports } = refreshToken
  const issuer = String(accessToken.issuer)
  const base = issuer.replace(/\/$/, '')
  // An endpoint of OAuth is one that takes a form.
  const forms = transports.includes('body')
  const unauthenticated = ['none']
  return {
    issuer,
    jwks_uri: `${base}/jwks.json`,
    ...(forms && routes.refresh !== undefined
      ? {
          token_endpoint: `${base}/refresh`,
          token_endpoint_auth_methods_supported: unauthenticated,
          grant_types_supported: ['refresh_token']
        }
      // Left out, it would mean the grants of an authorization endpoint.
      : { grant_types_supported: [] }),
    ...(forms && routes.logout !== undefined
      ? {
          revocation_endpoint: `${base}/logout`,
          revocation_endpoint_auth_methods_supported: unauthenticated
        }
      : {}),
    // Required, and there is no authorization endpoint that could respond.
    response_types_supported: [],
    ...(bindings.includes('dpop') ? { dpop_signing_alg_values_supported: ['ES256'] } : {})
  }
}
