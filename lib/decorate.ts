import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actions } from './actions/actions'
import { replyOf } from './actions/authenticate'
import { subOf } from './actions/caller'
import { createCredentialsOf, credentialsOf } from './actions/credentials-of'
import { guardOf } from './actions/imported-guard'
import { readLogoutOptions } from './actions/logout'
import { EndingUnconfirmedError, StoreUnavailableError, type Refusal } from './errors'
import { carryHeaders } from './http/challenge'
import { isWithinForeignReach } from './http/credentials'
import { checkOrigin, isUnsafe } from './http/cross-origin'
import { deny } from './options/schema'
import { refuseToHandler } from './routes/refusals'
import { clearTokens, writeTokens } from './routes/token-response'
import type { Services } from './services'

/** Decorates the instance, the request and the reply. @throws INVALID_OPTION */
export function decorate (
  fastify: FastifyInstance, services: Services, actions: Actions
): void {
  const { accessCookie, isTrusted, readCredentials, settings } = services
  const { authenticate, authenticateRequest, login, logout, renewals, sessions } = actions
  if (settings.decorateAuthenticate) {
    if (fastify.hasDecorator('authenticate')) {
      const given = 'true, and the instance has a decorator named authenticate already'
      const cure = 'false, which leaves that one alone; ' +
        'guard routes with the imported authenticate hook then'
      deny('decorateAuthenticate', given, cure)
    }
    fastify.decorate('authenticate', authenticate)
  }
  fastify.decorate(guardOf, authenticate)
  fastify.decorate(credentialsOf, createCredentialsOf(services))
  fastify.decorate('sessions', sessions)
  fastify.decorateRequest('sid', null)
  fastify.decorateRequest(subOf, null)
  fastify.decorateRequest('authenticate', async function (this: FastifyRequest, options) {
    return await authenticateRequest(this, options) as never
  })
  fastify.decorateReply('login', async function (this: FastifyReply, claims, options) {
    return await refuseToHandler(this, async () => {
      const { registration, ...issued } = await login(claims, options, this.request)
      if (issued.transport === 'cookie') renewals.drop(this.request)
      if (registration !== undefined) this.header('secure-session-registration', registration)
      return writeTokens(services, this, issued)
    })
  })
  fastify.decorateReply('logout', async function (this: FastifyReply, options) {
    const asked = readLogoutOptions(options, 'reply.logout: options')
    const credentials = readCredentials(this.request)
    const confirmed = await refuseToHandler(this, async () => {
      const isByCookie = accessCookie !== undefined && isWithinForeignReach(credentials)
      if (isByCookie && isUnsafe(this.request)) checkOrigin(this.request, isTrusted)
      renewals.drop(this.request)
      return await logout(credentials, this.request, asked)
    })
    if (credentials.transport === 'cookie') clearTokens(services, this)
    return confirmed
  })
  // fastify.sessions has no reply: its refusals bring their headers with the error.
  fastify.addHook('onError', (_request, reply, error, done) => {
    if (error instanceof StoreUnavailableError || error instanceof EndingUnconfirmedError) {
      carryHeaders(reply.raw, error as Refusal)
    }
    done()
  })
  // The user is no decorator: the application's own @fastify/jwt, registered after this, brings one
  // of that name.
  fastify.addHook('onRequest', (request, reply, done) => {
    request.user ??= null as never
    ;(request as FastifyRequest & { [replyOf]?: FastifyReply })[replyOf] = reply
    done()
  })
}
