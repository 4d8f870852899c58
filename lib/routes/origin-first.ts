import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { findCandidates } from '../actions/refresh-candidates'
import { checkOrigin, isForeign } from '../http/cross-origin'
import type { RouteExtras } from '../options/options'
import type { Services } from '../services'
import { isJson } from './bodies'
import { isForm } from './forms'
import { logRefusal } from './refusals'

/**
 * Puts the check of the origin before the hooks of a route: an application's hook may act on a
 * cookie of its own. It judges requests that bring a cookie. JSON in the body is beyond a foreign
 * page's reach without CORS, and is judged once it is read.
 */
function checkFirst (
  { settings, isTrusted }: Services,
  options: RouteExtras,
  refuse: (request: FastifyRequest) => void
) {
  const { transports } = settings.refreshToken
  if (!transports.includes('cookie')) return options
  const byBody = transports.includes('body')
  const check: onRequestHookHandler = (request, _reply, done) => {
    const { cookie = '', 'content-type': type = '' } = request.headers
    if (cookie !== '' && !(byBody && isJson.test(type)) && isForeign(request, isTrusted)) {
      try {
        refuse(request)
      } catch (error) {
        logRefusal(request, error)
        throw error
      }
    }
    done()
  }
  return { ...options, onRequest: [check, ...[options.onRequest ?? []].flat()] }
}

/** For a logout: a foreign page is refused, whatever it brings. */
export const checkOriginFirst = (services: Services, options: RouteExtras): RouteExtras =>
  checkFirst(services, options, (request) => checkOrigin(request, services.isTrusted))

/**
 * For a refresh: a token that is refused whoever presents it is refused as such, so that verdicts
 * have one order. The token of a form is not read yet: the cookie beside it says nothing of it.
 */
export const judgeForeignFirst = (services: Services, options: RouteExtras): RouteExtras =>
  checkFirst(services, options, (request) => {
    if (services.settings.refreshToken.transports.includes('body') && isForm(request)) {
      return checkOrigin(request, services.isTrusted)
    }
    const credentials = services.readCredentials({ headers: request.headers })
    if (credentials.refreshTokens.length > 0) findCandidates(services, credentials, request)
    checkOrigin(request, services.isTrusted)
  })
