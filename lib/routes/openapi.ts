import * as errors from '../errors'
import type { Settings } from '../settings'
import {
  boundRefusals, describeBadRefresh, describeBoundScheme, describeProofHeader
} from './openapi-bound'
import { describeOAuthErrors, describeRefusals } from './openapi-refusals'

type Schema = Record<string, unknown>

/** What @fastify/swagger hands to the transform of a route: a draft of OpenAPI, or of Swagger 2. */
interface Draft {
  schema?: Schema
  url: string
  openapiObject?: { components?: { securitySchemes?: Schema } }
}

/** The documentation of each route, which @fastify/swagger finds in the route's `config`. */
export type RouteDocs =
  Record<'refresh' | 'logout' | 'jwks' | 'metadata' | 'device', { config: object }>

const text = { type: 'string' }

/**
 * Documents the plugin's routes for @fastify/swagger. This is no Fastify schema, which would
 * validate and serialize, by whichever compilers the application has set: what the routes take and
 * answer stays the same, documented or not.
 */
export function documentRoutes (settings: Settings): RouteDocs {
  const { refreshToken: { transports, paired }, accessCookie, claims, durability } = settings
  const { bound } = settings.accessToken
  const byCookie = transports.includes('cookie')
  const byBody = transports.includes('body')
  const always = [
    errors.StoreUnavailableError, ...(byCookie ? [errors.CrossOriginRequestError] : [])
  ]
  const verdicts = [
    errors.RefreshTokenMissingError, errors.RefreshTokenInvalidError,
    errors.RefreshTokenExpiredError, errors.RefreshTokenReusedError
  ]
  const byRefreshToken = byCookie ? { refreshToken: [] } : {}
  const pairs = [
    { ...byRefreshToken, accessToken: [] },
    ...(bound ? [{ ...byRefreshToken, boundAccessToken: [] }] : [])
  ]
  const refreshToken =
    { ...text, description: byCookie ? 'Instead of the cookie' : 'The refresh token' }
  const properties = byBody ? { refresh_token: refreshToken } : {}
  const types = ['application/json', 'application/x-www-form-urlencoded']
  const forms = byBody ? { consumes: types } : {}
  const grantType = { ...text, enum: ['refresh_token'], description: 'Required in a form' }
  const token = { ...text, description: 'In a form: a refresh token or an access token' }
  const byForm = byBody ? { 400: describeOAuthErrors() } : {}
  const document = createDocument(securitySchemesOf(settings))

  return {
    refresh: document({
      summary: 'Refresh',
      description: 'Answers a new access token, and rotates the refresh token.',
      security: paired ? pairs : [byRefreshToken],
      ...describeProofHeader(settings),
      ...forms,
      ...(byBody
        ? { body: { type: 'object', properties: { grant_type: grantType, ...properties } } }
        : {}),
      response: {
        200: describeTokens(settings),
        ...describeBadRefresh(settings),
        ...describeRefusals([
          ...verdicts,
          ...(paired ? [errors.AccessTokenMissingError, errors.AccessTokenInvalidError] : []),
          ...(claims === undefined ? [] : [errors.SessionRevokedError]),
          ...boundRefusals(settings),
          ...always
        ])
      }
    }),
    logout: document({
      summary: 'Logout',
      description: 'Ends the session that the refresh token names or, without one, the access ' +
        'token, expired or not.',
      security: [
        ...(byCookie ? [{ refreshToken: [] }] : []), { accessToken: [] },
        ...(bound ? [{ boundAccessToken: [] }] : []),
        ...(accessCookie === undefined ? [] : [{ accessCookie: [] }]), {}
      ],
      ...describeProofHeader(settings),
      ...forms,
      body: {
        type: 'object',
        properties: {
          ...(byBody ? { ...properties, token } : {}),
          all: { type: 'boolean', description: 'Ends all sessions of the user' }
        }
      },
      response: {
        ...(byBody ? { 200: { ...anyObject, description: 'The same, in answer to a form' } } : {}),
        ...byForm,
        ...(durability === undefined
          ? {}
          : { 202: nothing('The same, but replicas have yet to confirm it') }),
        204: nothing('There is no such session any more'),
        // What `all` is refused for.
        ...describeRefusals([
          ...verdicts,
          ...(paired ? [errors.AccessTokenMissingError] : []),
          errors.AccessTokenInvalidError, errors.AccessTokenExpiredError,
          errors.SessionRevokedError,
          ...boundRefusals(settings),
          ...always
        ])
      }
    }),
    // Only browsers call it, by themselves. A limit would end the binding of a session.
    device: { config: { rateLimit: false, swaggerTransform: hide } },
    jwks: document({
      summary: 'Public keys',
      description: 'The keys that verify access tokens, as a JWK set.',
      security: [],
      response: { 200: describeObject('A JWK set', { keys: listOf(anyObject) }) }
    }),
    metadata: document({
      summary: 'Metadata',
      description: 'What OAuth clients, and services that verify tokens, find by the issuer.',
      security: [],
      response: {
        200: {
          ...describeObject('The metadata of RFC 8414', { issuer: text, jwks_uri: text }),
          additionalProperties: true
        }
      }
    })
  }
}

const nothing = (description: string): Schema => ({ type: 'null', description })
const anyObject = { type: 'object', additionalProperties: true }
const listOf = (items: Schema): Schema => ({ type: 'array', items })
const describeObject = (description: string, properties: Schema): Schema =>
  ({ type: 'object', description, required: Object.keys(properties), properties })

function securitySchemesOf (settings: Settings): Schema {
  const { refreshToken, refreshCookie, accessCookie } = settings
  const inCookie = (name: string): Schema => ({ type: 'apiKey', in: 'cookie', name })
  const byCookie = refreshToken.transports.includes('cookie')
  return {
    accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    ...describeBoundScheme(settings),
    ...(byCookie ? { refreshToken: inCookie(refreshCookie.name) } : {}),
    ...(accessCookie === undefined ? {} : { accessCookie: inCookie(accessCookie.name) })
  }
}

// In cookie mode both tokens are in cookies, and a body has them only with the body transport.
function describeTokens (settings: Settings): Schema {
  const { accessCookie, refreshToken: { transports } } = settings
  const byBody = transports.includes('body')
  const types = ['Bearer', ...(settings.accessToken.bound ? ['DPoP'] : [])]
  const accessToken = { access_token: text, token_type: { ...text, enum: types } }
  const refreshToken = { ...text, description: 'If the request brought one in its body' }
  return {
    type: 'object',
    description: `The tokens${transports.includes('cookie') ? '; the cookie is set again' : ''}`,
    required: [...(accessCookie === undefined ? Object.keys(accessToken) : []), 'expires_in'],
    properties: {
      ...(accessCookie === undefined || byBody ? accessToken : {}),
      expires_in: { type: 'integer', description: 'In seconds' },
      ...(byBody ? { refresh_token: refreshToken } : {})
    }
  }
}

function createDocument (securitySchemes: Schema) {
  return (documented: Schema): { config: object } => {
    const swaggerTransform = ({ schema, url, openapiObject }: Draft) => {
      const { security, ...rest } = documented
      if (openapiObject === undefined) return { url, schema: { ...rest, ...schema } }
      const { components } = openapiObject
      openapiObject.components = {
        ...components, securitySchemes: { ...securitySchemes, ...components?.securitySchemes }
      }
      return { url, schema: { ...rest, security, ...schema } }
    }
    return { config: { swaggerTransform } }
  }
}

const hide = ({ schema, url }: Draft) => ({ url, schema: { ...schema, hide: true } })
