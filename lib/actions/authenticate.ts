import type { FastifyReply, FastifyRequest } from 'fastify'
import { challengeByDpop } from '../binding/dpop/refusal'
import type { Refusal } from '../errors'
import {
  carryHeaders, reauthenticationRequired, revokedSession, unboundSession
} from '../http/challenge'
import { isBearer, isDpop, readBearer, readToken } from '../http/credentials'
import type { Duration } from '../options/duration'
import { duration, isBoolean, object, value } from '../options/schema'
import { userTagOf } from '../session/content'
import type { Services } from '../services'
import type { AccessClaims } from '../tokens/access-token'
import { createAuthenticateByCookie } from './authenticate-by-cookie'
import { subOf } from './caller'
import type { Answer, Renewals } from './renewals'
import { createVerifyLiving } from './verify-living'

/** What a guard may demand beside a good access token. */
export interface AuthenticateOptions {
  /** Asks the store whether the session still lives: one round trip. @default false */
  live?: boolean | undefined
  /** How old the login may be, in seconds or as `'15m'`. @default any age @see RFC 9470 */
  maxAge?: Duration | undefined
  /** The session must be bound to its device. @default false */
  bound?: boolean | undefined
}

/** What the hook uses of a request, which HTTP/1 and HTTP/2 have in common. */
export type Authenticable = Pick<FastifyRequest, 'headers' | 'user' | 'sid'>

/** A hook for `onRequest` or `preHandler`; without `done` it returns a promise. */
export interface AuthenticateHook {
  (request: Authenticable, reply: unknown, done: (error?: Error) => void): void
  (request: Authenticable, reply?: unknown): Promise<void>
}

const readOptions = object({
  live: value(isBoolean, 'true or false', false),
  maxAge: duration(undefined, 0),
  bound: value(isBoolean, 'true or false', false)
})

/** Marks the plugin's own routes: they are guarded by what they are. */
export const ownRoute = Symbol('a route of fastify-jwt-sessions')
/** Where a request keeps its reply, for guards that are given the request only. */
export const replyOf = Symbol('the reply of a request')

type Kept = Partial<FastifyRequest> & { [replyOf]?: FastifyReply, [subOf]?: string }

/** Creates what `fastify.authenticate` and `request.authenticate` do. */
export function createAuthenticate (services: Services, renewals: Renewals) {
  const { accessCookie, settings, store, watch } = services
  const { bound } = settings.accessToken
  const verifyLiving = createVerifyLiving(services)

  const byCookie = accessCookie && createAuthenticateByCookie(services, accessCookie, renewals)

  // Returns a promise only if the store must be asked.
  function verify (request: Authenticable, reply: unknown): AccessClaims | Promise<AccessClaims> {
    const { authorization } = request.headers
    if (bound && isDpop(authorization)) {
      return verifyLiving(readToken(authorization), request as FastifyRequest)
    }
    // A Bearer token, good or bad, comes before any cookie: it is what the client means.
    if (byCookie === undefined || isBearer(authorization)) {
      return verifyLiving(readBearer(authorization))
    }
    return byCookie(request as FastifyRequest, answerOf(request, reply), !isOwnRoute(request))
  }

  function refuseHere (request: Authenticable, error: Refusal, reply: unknown) {
    const isByDpop = isDpop(request.headers.authorization) || error.code === 'ACCESS_TOKEN_MISSING'
    return refuseRequest(request, bound && isByDpop ? challengeByDpop(error) : error, reply)
  }

  function admit (request: Authenticable, claims: AccessClaims): void {
    request.user = claims as typeof request.user
    request.sid = claims.sid
    ;(request as Kept)[subOf] = claims.sub
  }

  function authenticate (
    request: Authenticable, reply?: unknown, done?: (error?: Error) => void
  ): unknown {
    if (done === undefined) return authenticateRequest(request, undefined, reply).then(() => {})
    const fail = (error: unknown): void => done(refuseHere(request, error as Refusal, reply))
    try {
      const claims = verify(request, reply)
      if (claims instanceof Promise) {
        claims.then((claims) => { admit(request, claims); done() }, fail)
        return
      }
      admit(request, claims)
    } catch (error) {
      return fail(error)
    }
    done()
  }

  async function authenticateRequest (
    request: Authenticable, options?: AuthenticateOptions, reply?: unknown
  ): Promise<AccessClaims | null> {
    const demanded = readOptions(options, 'request.authenticate: options')
    try {
      const claims = await verify(request, reply)
      await demand(claims, demanded)
      admit(request, claims)
      return claims
    } catch (error) {
      const refused = refuseHere(request, error as Refusal, reply)
      if (refused === undefined) return null
      throw refused
    }
  }

  async function demand (
    claims: AccessClaims, { live, maxAge, bound }: ReturnType<typeof readOptions>
  ): Promise<void> {
    if (bound && claims.bound !== true) throw unboundSession()
    if (maxAge !== undefined && store.now() - claims.auth_time * 1000 > maxAge) {
      throw reauthenticationRequired(maxAge)
    }
    if (live && await store.find(userTagOf(claims.sub), claims.sid) === undefined) {
      watch.ended(claims.sid)
      throw revokedSession('its session is over')
    }
  }

  return { authenticate: authenticate as AuthenticateHook, authenticateRequest }
}

const isOwnRoute = ({ routeOptions }: Kept): boolean =>
  (routeOptions?.config as { [ownRoute]?: true } | undefined)?.[ownRoute] === true

// A guard may be called with the request alone.
function answerOf (request: Kept, given: unknown): Answer | undefined {
  const reply = request[replyOf] ?? given as Partial<FastifyReply> | undefined
  return reply?.raw === undefined ? undefined : reply as Answer
}

// Returns the error to answer with: none on the plugin's own routes, which are guarded by what they
// are.
function refuseRequest (request: Kept, error: Refusal, given: unknown): Refusal | undefined {
  if (isOwnRoute(request)) return undefined
  request.log?.info({ code: error.code, reason: error.reason }, 'not authenticated')
  const answer = answerOf(request, given)
  if (answer !== undefined) carryHeaders(answer.raw, error)
  return error
}
