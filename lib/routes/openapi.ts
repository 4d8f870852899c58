import * as errors from '../errors'
import type { Settings } from '../settings'

type Schema = Record<string, unknown>

/** What @fastify/swagger hands to the transform of a route: an OpenAPI document that is being written, or a Swagger 2 one. */
interface Draft {
  schema?: Schema
  url: string
  openapiObject?: { components?: { securitySchemes?: Schema } }
}

/** The documentation of each route, which @fastify/swagger finds in the route's `config`. */
export type RouteDocs = Record<'refresh' | 'logout' | 'jwks' | 'device', { config: object }>

/**
 * Documents the plugin's routes for @fastify/swagger. This is no Fastify schema, which would validate and serialise, by whichever
 * compilers the application has set: what the routes take and answer stays the same, documented or not.
 */
export function documentRoutes (settings: Settings): RouteDocs {
  const { refreshToken: { transports, paired }, refreshCookie, accessCookie, claims, durability } = settings
  const byCookie = transports.includes('cookie')
  const byBody = transports.includes('body')
  const text = { type: 'string' }
  const securitySchemes = {
    accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    ...(byCookie ? { refreshToken: { type: 'apiKey', in: 'cookie', name: refreshCookie.name } } : {}),
    ...(accessCookie === undefined ? {} : { accessCookie: { type: 'apiKey', in: 'cookie', name: accessCookie.name } })
  }
  const always = [errors.StoreUnavailableError, ...(byCookie ? [errors.CrossOriginRequestError] : [])]
  const credentials = { ...(byCookie ? { refreshToken: [] } : {}), ...(paired ? { accessToken: [] } : {}) }
  const properties = byBody ? { refresh_token: { ...text, description: byCookie ? 'Instead of the cookie' : 'The refresh token' } } : {}

  const document = (documented: Schema): { config: object } => {
    const swaggerTransform = ({ schema, url, openapiObject }: Draft) => {
      if (openapiObject !== undefined) {
        const { components } = openapiObject
        openapiObject.components = { ...components, securitySchemes: { ...securitySchemes, ...components?.securitySchemes } }
      }
      const { security, ...rest } = documented
      return { url, schema: { ...rest, ...(openapiObject === undefined ? {} : { security }), ...schema } }
    }
    return { config: { swaggerTransform } }
  }

  return {
    refresh: document({
      summary: 'Refresh',
      description: 'Answers a new access token, and rotates the refresh token.',
      security: [credentials],
      ...(byBody ? { body: { type: 'object', properties } } : {}),
      response: {
        200: {
          type: 'object',
          description: byCookie ? 'The tokens; the cookie is set anew' : 'The tokens',
          // In cookie mode both tokens are in cookies, and a body has them only with the body transport.
          required: [...(accessCookie === undefined ? ['access_token', 'token_type'] : []), 'expires_in'],
          properties: {
            ...(accessCookie === undefined || byBody ? { access_token: text, token_type: { ...text, enum: ['Bearer'] } } : {}),
            expires_in: { type: 'integer', description: 'In seconds' },
            ...(byBody ? { refresh_token: { ...text, description: 'Where the request brought one in its body' } } : {})
          }
        },
        ...refusals([
          errors.RefreshTokenMissingError, errors.RefreshTokenInvalidError, errors.RefreshTokenExpiredError, errors.RefreshTokenReusedError,
          ...(paired ? [errors.AccessTokenMissingError, errors.AccessTokenInvalidError] : []),
          ...(claims === undefined ? [] : [errors.SessionRevokedError]),
          ...always
        ])
      }
    }),
    logout: document({
      summary: 'Logout',
      description: 'Ends the session that the refresh token names or, without one, the access token, expired or not.',
      security: [...(byCookie ? [{ refreshToken: [] }] : []), { accessToken: [] }, ...(accessCookie === undefined ? [] : [{ accessCookie: [] }]), {}],
      body: { type: 'object', properties: { ...properties, all: { type: 'boolean', description: 'Ends all sessions of the user' } } },
      response: {
        ...(durability === undefined ? {} : { 202: { type: 'null', description: 'The same, but replicas have yet to confirm it' } }),
        204: { type: 'null', description: 'There is no such session any more' },
        ...refusals(always)
      }
    }),
    // Only browsers call it, by themselves. A limit would end the binding of a session.
    device: { config: { rateLimit: false, swaggerTransform: hide } },
    jwks: document({
      summary: 'Public keys',
      description: 'The keys that verify access tokens, as a JWK set.',
      security: [],
      response: { 200: { type: 'object', description: 'A JWK set', required: ['keys'], properties: { keys: { type: 'array', items: { type: 'object', additionalProperties: true } } } } }
    })
  }
}

const hide = ({ schema, url }: Draft) => ({ url, schema: { ...schema, hide: true } })

/** The answers that refuse, by their status, each with the codes that it may carry. */
function refusals (Refusals: Array<typeof errors.StoreUnavailableError>): Schema {
  const byStatus: Record<number, string[]> = {}
  for (const Refusal of Refusals) {
    const { statusCode, code } = new Refusal()
    ;(byStatus[statusCode] ??= []).push(code)
  }
  return Object.fromEntries(Object.entries(byStatus).map(([status, codes]) => [status, {
    type: 'object',
    description: codes.join(', '),
    required: ['statusCode', 'code', 'error', 'message'],
    properties: { statusCode: { type: 'integer' }, code: { type: 'string', enum: codes }, error: { type: 'string' }, message: { type: 'string' } }
  }]))
}
