import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createAccessTokens } from './tokens/access-token'
import { createAuthenticate } from './actions/authenticate'
import type { Context } from './services'
import { createDurability, noDurability } from './session/durability'
import { prepareJwt } from './tokens/signers'
import { createLogin, type LoginClaims, type LoginOptions } from './actions/login'
import { createLogout, type LogoutOptions } from './actions/logout'
import type { AuthPluginOptions } from './options/options'
import { createRefreshTokens } from './tokens/refresh-token'
import { createWatch, noWatch } from './session/revocation-watch'
import { registerRoutes } from './routes/routes'
import { createSessions } from './actions/manage-sessions'
import { readSettings } from './settings'
import { createAsk, openStore } from './store/bounded'
import { MemoryStore } from './store/memory'

/** Logins that last: decorates the instance, the request and the reply, and registers the routes. @throws INVALID_OPTION */
export const plugin = fp(async (fastify: FastifyInstance, options: AuthPluginOptions): Promise<void> => {
  const settings = readSettings(options, fastify)
  const { store, storeTimeout, push, accessToken } = settings
  const log = fastify.log
  if (store instanceof MemoryStore) log.warn('sessions are kept in the memory of this process alone and end with it: for development and tests')

  const now = () => store.now() ?? Date.now()
  const ask = createAsk(store, storeTimeout)
  const watch = push ? createWatch(ask, accessToken.lifetime, now, log) : noWatch
  const durability = settings.durability === undefined ? noDurability : createDurability(store, settings.durability)
  const signers = await prepareJwt(fastify, settings)
  const accessTokens = createAccessTokens(signers.access, settings, now)
  const refreshTokens = createRefreshTokens(signers.refresh)
  const context: Context = { settings, accessTokens, refreshTokens, ask, watch, durability, log, now }

  const { authenticate, authenticateRequest } = createAuthenticate(context)
  const login = createLogin(context)
  const logout = createLogout(context)
  fastify.decorate('authenticate', authenticate)
  fastify.decorate('sessions', createSessions(context))
  fastify.decorateRequest('sid', null)
  fastify.decorateRequest('authenticate', async function (this: FastifyRequest, options) {
    return await authenticateRequest(this, options) as never
  })
  fastify.decorateReply('login', async function (this: FastifyReply, claims: LoginClaims, options?: LoginOptions) {
    return await login(this, claims, options)
  })
  fastify.decorateReply('logout', async function (this: FastifyReply, options?: LogoutOptions) {
    await logout(this.request, this, options)
  })
  // Not a decorator: the application's own @fastify/jwt, registered after this, brings one of that name.
  fastify.addHook('onRequest', (request, _reply, done) => {
    request.user ??= null as never
    done()
  })
  fastify.addHook('onReady', async () => {
    await openStore(ask, log)
    await watch.open()
  })
  fastify.addHook('onClose', async () => {
    watch.close()
    durability.close()
  })
  await registerRoutes(fastify, context)
}, { fastify: '5.x', name: 'fastify-jwt-sessions' })
