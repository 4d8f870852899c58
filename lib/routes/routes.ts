import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ownRoute } from '../actions/authenticate'
import { createLogout } from '../actions/logout'
import { createRefresh } from '../actions/refresh'
import type { Refusal } from '../errors'
import { checkOrigin } from '../http/cross-origin'
import type { RouteExtras } from '../options/options'
import type { Services } from '../services'
import { acceptBodies, bodyLimit, readAll } from './bodies'
import { answerForms } from './form-errors'
import { isForm, readGrant, readRevocation } from './forms'
import { documentRoutes, type RouteDocs } from './openapi'
import { checkOriginFirst, judgeForeignFirst } from './origin-first'
import { writeTokens } from './token-response'

const jwksMaxAge = 300

/** Registers the plugin's own routes, in a scope of their own. */
export async function registerRoutes (fastify: FastifyInstance, services: Services): Promise<void> {
  const { settings } = services
  const { refresh, logout, jwks } = settings.routes
  const docs = documentRoutes(settings)
  const forms = settings.refreshToken.transports.includes('body')
  const dialects = (options: RouteExtras): RouteExtras => forms ? answerForms(options) : options
  await fastify.register(async (scope) => {
    acceptBodies(scope, { forms })
    if (refresh !== undefined) registerRefresh(scope, services, dialects(merge(docs.refresh, refresh)))
    if (logout !== undefined) registerLogout(scope, services, dialects(merge(docs.logout, logout)))
    if (jwks !== undefined) {
      const keys = settings.ring.flatMap(({ jwk }) => jwk ?? [])
      scope.get('/jwks.json', merge(docs.jwks, jwks), async (_request, reply) => {
        reply.header('cache-control', `public, max-age=${jwksMaxAge}`)
        return { keys }
      })
    }
  }, { prefix: settings.prefix })
}

const merge = (docs: RouteDocs['refresh'], extras: RouteExtras): RouteExtras =>
  ({ bodyLimit, ...extras, config: { ...docs.config, ...extras.config, [ownRoute]: true } as RouteExtras['config'] })

function registerRefresh (scope: FastifyInstance, services: Services, options: RouteExtras): void {
  const refresh = createRefresh(services)
  const { readCredentials, refreshCookie } = services
  scope.post('/refresh', judgeForeignFirst(services, options), async (request, reply) => {
    const issued = await refuseWithHeaders(request, reply, async () => {
      const credentials = isForm(request) ? readGrant(request, readCredentials) : readCredentials(request)
      return await refresh(credentials, request)
    })
    return writeTokens(reply, issued, refreshCookie)
  })
}

function registerLogout (scope: FastifyInstance, services: Services, options: RouteExtras): void {
  const logout = createLogout(services)
  const { isTrusted, readCredentials, refreshCookie } = services
  scope.post('/logout', checkOriginFirst(services, options), async (request, reply) => {
    const form = isForm(request)
    const credentials = form ? readRevocation(request, readCredentials) : readCredentials(request)
    const { transport, refreshTokens } = credentials
    const confirmed = await refuseWithHeaders(request, reply, async () => {
      // A body and a bearer token are beyond a foreign page's reach; a cookie, and the clearing of one, are not.
      if (transport === 'cookie' && (refreshTokens.length > 0 || request.headers.authorization === undefined)) {
        checkOrigin(request, isTrusted)
      }
      return await logout(credentials, request, { all: !form && readAll(request.body) })
    })
    // Only now: if the store could not be asked, nothing is cleared. A body's session has no cookie.
    if (transport === 'cookie') refreshCookie.clear(reply)
    return await reply.code(confirmed ? form ? 200 : 204 : 202).send()
  })
}

// The headers stand before the error is thrown, so that they outlive whatever error handler the application has.
async function refuseWithHeaders<T> (request: FastifyRequest, reply: FastifyReply, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const { code, reason, headers } = error as Refusal
    if (headers !== undefined) reply.headers(headers)
    if (reason !== undefined) request.log.info({ code, reason }, 'request refused')
    throw error
  }
}
