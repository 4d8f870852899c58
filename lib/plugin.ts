import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createActions } from './actions/actions'
import { guardOf } from './actions/imported-guard'
import { decorate } from './decorate'
import { InvalidOptionError } from './errors'
import type { AuthPluginOptions } from './options/options'
import { registerRoutes } from './routes/routes'
import { createServices } from './services'
import { readSettings } from './settings'

/**
 * Logins that last: decorates the instance, the request and the reply, and registers the routes.
 * @throws INVALID_OPTION
 */
export const plugin = fp(async (
  fastify: FastifyInstance, options: AuthPluginOptions
): Promise<void> => {
  if (fastify.hasDecorator(guardOf)) {
    throw new InvalidOptionError('fastify-jwt-sessions is registered in this scope already, or ' +
      'in one above it; register it in sibling scopes to have it twice')
  }
  const settings = readSettings(options, fastify)
  for (const warning of settings.warnings) fastify.log.warn(warning)
  const services = await createServices(fastify, settings)
  const actions = createActions(services)
  decorate(fastify, services, actions)
  await registerRoutes(fastify, services, actions)
}, { fastify: '5.x', name: 'fastify-jwt-sessions' })
