import type { FastifyInstance } from 'fastify'
import type { Actions } from '../actions/actions'
import { ownRoute } from '../actions/authenticate'
import { isProofWanted } from '../actions/unproven'
import { isWithinForeignReach } from '../http/credentials'
import { checkOrigin } from '../http/cross-origin'
import type { RouteExtras } from '../options/options'
import type { Services } from '../services'
import { acceptBodies, bodyLimit, readAll } from './bodies'
import { registerDevice } from './device'
import { answerForms, answerFormsAtLast } from './form-errors'
import { isForm, readGrant, readRevocation } from './forms'
import { registerJwks } from './jwks'
import { registerMetadata } from './metadata'
import { documentRoutes, type RouteDocs } from './openapi'
import { checkOriginFirst, judgeForeignFirst } from './origin-first'
import { createPathHint, type PathHint } from './path-hint'
import { redirectToProve } from './redirect-to-prove'
import { refuseWithHeaders } from './refusals'
import { clearTokens, writeTokens } from './token-response'

/** Registers the plugin's own routes, in a scope of their own. */
export async function registerRoutes (
  fastify: FastifyInstance, services: Services, actions: Actions
): Promise<void> {
  const { deviceBinding, settings } = services
  const { refresh, logout, jwks, metadata, device } = settings.routes
  const docs = documentRoutes(settings)
  const forms = settings.refreshToken.transports.includes('body')
  const hint = createPathHint(services)
  const dialects = (options: RouteExtras): RouteExtras => forms ? answerForms(options) : options
  await fastify.register(async (scope) => {
    acceptBodies(scope, { forms })
    if (forms) answerFormsAtLast(scope)
    if (refresh !== undefined) {
      registerRefresh(scope, services, actions, hint, dialects(merge(docs.refresh, refresh)))
    }
    if (logout !== undefined) {
      registerLogout(scope, services, actions, hint, dialects(merge(docs.logout, logout)))
    }
    if (deviceBinding !== undefined) {
      registerDevice(scope, services, deviceBinding, merge(docs.device, device ?? {}))
    }
    if (jwks !== undefined) registerJwks(scope, settings, merge(docs.jwks, jwks))
    if (metadata !== undefined) registerMetadata(scope, settings, merge(docs.metadata, metadata))
  }, { prefix: settings.prefix })
}

const merge = (docs: RouteDocs['refresh'], extras: RouteExtras): RouteExtras => {
  const config = { ...docs.config, ...extras.config, [ownRoute]: true }
  const { schema } = extras
  return {
    bodyLimit,
    ...extras,
    config: config as RouteExtras['config'],
    // Fastify notes in a schema that it has seen it: not in the caller's object.
    ...schema === undefined ? {} : { schema: { ...schema } }
  }
}

function registerRefresh (
  scope: FastifyInstance, services: Services, { refresh }: Actions, hint: PathHint,
  options: RouteExtras
): void {
  const { deviceBinding, readCredentials } = services
  scope.post('/refresh', judgeForeignFirst(services, options), async (request, reply) => {
    const credentials = isForm(request)
      ? readGrant(request, readCredentials)
      : readCredentials(request)
    hint(request, credentials)
    const hasProof = credentials.proofs.length > 0
    try {
      const { issued, rotated } = await refuseWithHeaders(request, reply,
        () => refresh(credentials, request))
      // Only a rotation takes the proof away: the late answer to a repeat would take the next one.
      if (rotated && hasProof) deviceBinding?.proofCookie.clear(reply)
      return writeTokens(services, reply, issued)
    } catch (error) {
      if (deviceBinding === undefined || !isProofWanted(error)) throw error
      return await redirectToProve(reply, deviceBinding.proofCookie, hasProof)
    }
  })
}

function registerLogout (
  scope: FastifyInstance, services: Services, { logout }: Actions, hint: PathHint,
  options: RouteExtras
): void {
  const { isTrusted, readCredentials } = services
  scope.post('/logout', checkOriginFirst(services, options), async (request, reply) => {
    const form = isForm(request)
    const credentials = form
      ? readRevocation(request, readCredentials)
      : readCredentials(request)
    hint(request, credentials)
    const confirmed = await refuseWithHeaders(request, reply, async () => {
      if (isWithinForeignReach(credentials)) checkOrigin(request, isTrusted)
      const all = !form && readAll(request.body)
      return await logout(credentials, request, { all, byCaller: false })
    })
    // Only now: if the store could not be asked, nothing is cleared. A body's session has no
    // cookie.
    if (credentials.transport === 'cookie') clearTokens(services, reply)
    // A form knows one success: OAuth clients take a 202 for a failure. RFC 7009 §2.2
    reply.code(form ? 200 : confirmed ? 204 : 202)
    // Some clients parse the body that RFC 7009 tells them to ignore.
    return await (form ? reply.send({}) : reply.send())
  })
}
