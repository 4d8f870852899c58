import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createAuthenticate, guardOf, replyOf } from './actions/authenticate'
import { createCredentialsOf, credentialsOf } from './actions/credentials-of'
import { createLogin } from './actions/login'
import { createLogout } from './actions/logout'
import { createSessions } from './actions/manage-sessions'
import { createDeviceBinding } from './binding/dbsc/binding'
import { createDpop } from './binding/dpop/dpop'
import type { Refusal } from './errors'
import { createRenewals } from './actions/renewals'
import { createEmit } from './events'
import { carryHeaders } from './http/challenge'
import { createCookie, prepareCookies } from './http/cookies'
import { createReadCredentials } from './http/credentials'
import { checkOrigin, isUnsafe } from './http/cross-origin'
import type { AuthPluginOptions } from './options/options'
import { deny } from './options/schema'
import { registerRoutes } from './routes/routes'
import { clearTokens, writeTokens } from './routes/token-response'
import type { Services } from './services'
import { createDurability, noDurability } from './session/durability'
import { createEndings } from './session/endings'
import { createWatch, noWatch } from './session/revocation-watch'
import { readSettings, type Settings } from './settings'
import { boundStore, openStore } from './store/bounded'
import { MemoryStore } from './store/memory'
import { createAccessTokens } from './tokens/access-token'
import { createRefreshTokens } from './tokens/refresh-token'
import { prepareRefreshKeys, prepareSigners } from './tokens/signers'

/**
 * Logins that last: decorates the instance, the request and the reply, and registers the routes.
 * @throws INVALID_OPTION
 */
export const plugin = fp(async (
  fastify: FastifyInstance, options: AuthPluginOptions
): Promise<void> => {
  const settings = readSettings(options, fastify)
  for (const warning of settings.warnings) fastify.log.warn(warning)
  const services = await createServices(fastify, settings)
  decorate(fastify, services)
  await registerRoutes(fastify, services)
}, { fastify: '5.x', name: 'fastify-jwt-sessions' })

const memoryOnly =
  'MemoryStore: sessions live in this process only and end with it; for development and tests'

/** What is created in a scope of the plugin's own. */
type Prepared =
  'accessTokens' | 'readCredentials' | 'refreshCookie' | 'accessCookie' | 'deviceBinding'

async function createServices (fastify: FastifyInstance, settings: Settings): Promise<Services> {
  const { accessToken, push, refreshToken, ring, storeTimeout } = settings
  const { log } = fastify
  if (settings.store instanceof MemoryStore) {
    log.warn(memoryOnly)
  }
  const emit = createEmit(settings.path)
  const store = boundStore(settings.store, storeTimeout, emit)
  const watch = push ? createWatch(store, accessToken.lifetime, log, emit) : noWatch
  const durability = settings.durability === undefined
    ? noDurability
    : createDurability(settings.store, settings.durability, emit)
  fastify.addHook('onReady', async () => {
    await openStore(store, log)
    await watch.open()
  })
  fastify.addHook('onClose', async () => {
    watch.close()
    durability.close()
  })
  // @fastify/jwt and @fastify/cookie in a scope where they meet no other instance.
  let prepared: Pick<Services, Prepared> | undefined
  await fastify.register(async (scope) => {
    const codec = await prepareCookies(scope)
    const refreshCookie = createCookie(codec, settings.refreshCookie)
    const accessCookie = settings.accessCookie && createCookie(codec, settings.accessCookie)
    const deviceBinding = refreshToken.bindings.includes('dbsc')
      ? createDeviceBinding(settings, codec)
      : undefined
    const { transports } = refreshToken
    prepared = {
      accessTokens: createAccessTokens(await prepareSigners(scope, ring, accessToken), accessToken),
      readCredentials:
        createReadCredentials(transports, refreshCookie, accessCookie, deviceBinding?.proofCookie),
      refreshCookie,
      accessCookie,
      deviceBinding
    }
  })
  return {
    ...prepared as NonNullable<typeof prepared>,
    settings,
    refreshTokens: createRefreshTokens(prepareRefreshKeys(ring)),
    store,
    watch,
    endings: createEndings(watch, durability, emit),
    isTrusted: settings.isTrusted,
    dpop: createDpop(ring, store.now),
    emit,
    log
  }
}

function decorate (fastify: FastifyInstance, services: Services): void {
  const { accessCookie, isTrusted, readCredentials, settings } = services
  const renewals = createRenewals(services)
  const { authenticate, authenticateRequest } = createAuthenticate(services, renewals)
  const login = createLogin(services)
  const logout = createLogout(services)
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
  fastify.decorate('sessions', createSessions(services))
  fastify.decorateRequest('sid', null)
  fastify.decorateRequest('authenticate', async function (this: FastifyRequest, options) {
    return await authenticateRequest(this, options) as never
  })
  fastify.decorateReply('login', async function (this: FastifyReply, claims, options) {
    try {
      renewals.drop(this.request)
      const { registration, ...issued } = await login(claims, options, this.request)
      if (registration !== undefined) this.header('secure-session-registration', registration)
      return writeTokens(services, this, issued)
    } catch (error) {
      carryHeaders(this.raw, error as Refusal)
      throw error
    }
  })
  fastify.decorateReply('logout', async function (this: FastifyReply, options) {
    const credentials = readCredentials(this.request)
    if (accessCookie !== undefined && isUnsafe(this.request)) checkOrigin(this.request, isTrusted)
    renewals.drop(this.request)
    const confirmed = await logout(credentials, this.request, options).catch((error: Refusal) => {
      carryHeaders(this.raw, error)
      throw error
    })
    if (credentials.transport === 'cookie') clearTokens(services, this)
    return confirmed
  })
  // The user is no decorator: the application's own @fastify/jwt, registered after this, brings one
  // of that name.
  fastify.addHook('onRequest', (request, reply, done) => {
    request.user ??= null as never
    ;(request as FastifyRequest & { [replyOf]?: FastifyReply })[replyOf] = reply
    done()
  })
}
