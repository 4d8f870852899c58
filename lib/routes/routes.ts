import createError = require('@fastify/error')
import type { FastifyInstance } from 'fastify'
import { describe, isObject } from '../options/schema'
import { checkOrigin } from '../http/cross-origin'
import type { Context } from '../services'
import { createLogout } from '../actions/logout'
import { documentRoutes, type RouteDocs } from './openapi'
import type { RouteExtras } from '../options/options'
import { createRefresh } from '../actions/refresh'
import { presented } from '../http/credentials'

const InvalidBodyError = createError('FST_ERR_VALIDATION', '%s', 400)
const UnsupportedMediaTypeError = createError('FST_ERR_CTP_INVALID_MEDIA_TYPE', 'Unsupported Media Type: %s; allowed: application/json, or no body', 415)

const jwksMaxAge = 300

/** Registers the plugin's own routes, in a scope of their own. */
export async function registerRoutes (fastify: FastifyInstance, context: Context): Promise<void> {
  const { settings } = context
  const { refresh, logout, jwks } = settings.routes
  const docs = documentRoutes(settings)
  await fastify.register(async (scope) => {
    acceptEmptyBodies(scope)
    if (refresh !== undefined) scope.post('/refresh', merge(docs.refresh, refresh), createRefresh(context))
    if (logout !== undefined) {
      const end = createLogout(context)
      scope.post('/logout', merge(docs.logout, logout), async (request, reply) => {
        const { via, texts } = presented(request, settings.refreshToken.transports, settings.cookie)
        // A body and a bearer token are beyond a foreign page's reach; a cookie, and the clearing of one, are not.
        if (via === 'cookie' && (texts.length > 0 || request.headers.authorization === undefined)) checkOrigin(request, settings.trustedOrigins)
        const confirmed = await end(request, reply, { all: readAll(request.body) })
        return await reply.code(confirmed ? 204 : 202).send()
      })
    }
    if (jwks !== undefined) {
      const keys = settings.ring.flatMap(({ jwk }) => jwk ?? [])
      scope.get('/jwks.json', merge(docs.jwks, jwks), async (_request, reply) => {
        reply.header('cache-control', `public, max-age=${jwksMaxAge}`)
        return { keys }
      })
    }
  }, { prefix: settings.prefix })
}

const merge = (docs: RouteDocs['refresh'], extras: RouteExtras): RouteExtras => ({ ...extras, config: { ...docs.config, ...extras.config } })

// Real clients name any content type on a POST without a body; Fastify by itself answers them 400 and 415.
function acceptEmptyBodies (scope: FastifyInstance): void {
  scope.addHook('onRequest', (request, _reply, done) => {
    const { 'content-length': length = '0', 'transfer-encoding': coding } = request.raw.headers
    if (length === '0' && coding === undefined) delete request.raw.headers['content-type']
    done()
  })
  // A body that comes in chunks can be empty too.
  const parseJson = scope.getDefaultJsonParser('error', 'error')
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    const type = request.headers['content-type'] ?? 'none'
    if (body === '') return done(null, undefined)
    if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)) return done(new UnsupportedMediaTypeError(type))
    parseJson(request, body as string, done)
  })
}

function readAll (body: unknown): boolean {
  const all = isObject(body) ? body.all : undefined
  if (all !== undefined && typeof all !== 'boolean') throw new InvalidBodyError(`body/all is ${describe(all)}; allowed: true or false`)
  return all === true
}
