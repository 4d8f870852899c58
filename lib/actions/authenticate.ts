import type { FastifyJWT } from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import { readBearer, type AccessClaims } from '../tokens/access-token'
import { duration, isBoolean, object, value } from '../options/schema'
import type { Context } from '../services'
import type { Duration } from '../options/duration'
import { ReauthenticationRequiredError, SessionRevokedError, refuse } from '../errors'
import { tagOf } from '../session/session'

export interface AuthenticateOptions {
  /** Asks the store whether the session still lives: one round trip. */
  live?: boolean
  /** The login must be no older. @see RFC 9470 */
  maxAge?: Duration
}

/** What `request.user` is, as the application types it by augmenting @fastify/jwt; its members are frozen. */
export type User = FastifyJWT extends { user: infer T } ? T : FastifyJWT extends { payload: infer T } ? T : AccessClaims

/** What the hook uses of a request, which HTTP/1 and HTTP/2 have in common. */
export type Authenticable = Pick<FastifyRequest, 'headers' | 'user' | 'sid'>

/** A hook for `onRequest` or `preHandler`; without `done` it answers a promise. */
export interface AuthenticateHook {
  (request: Authenticable, reply: unknown, done: (error?: Error) => void): void
  (request: Authenticable, reply?: unknown): Promise<void>
}

const readOptions = object({
  live: value(isBoolean, 'true or false', false),
  maxAge: duration(undefined, 0)
})

/** Makes what `fastify.authenticate` and `request.authenticate` do. */
export function createAuthenticate ({ accessTokens, ask, watch, now }: Context) {
  const revoked = () => refuse(SessionRevokedError, 'its session is over', { 'www-authenticate': 'Bearer error="invalid_token", error_description="The session is over"' })

  // Answers a promise only where the store must be asked: most requests need none.
  function verify (request: Authenticable): AccessClaims | Promise<AccessClaims> {
    const claims = accessTokens.verify(readBearer(request.headers.authorization))
    const ended = watch.hasEnded(claims.sid, claims.sub)
    if (ended === false) return claims
    if (ended === true) throw revoked()
    return ended.then((ended) => { if (ended) throw revoked(); return claims })
  }

  function admit (request: Authenticable, claims: AccessClaims): void {
    request.user = claims as typeof request.user
    request.sid = claims.sid
  }

  function authenticate (request: Authenticable, _reply?: unknown, done?: (error?: Error) => void): unknown {
    if (done === undefined) return authenticateRequest(request).then(() => {})
    try {
      const claims = verify(request)
      if (claims instanceof Promise) {
        claims.then((claims) => { admit(request, claims); done() }, done)
        return
      }
      admit(request, claims)
    } catch (error) {
      return done(error as Error)
    }
    done()
  }

  async function authenticateRequest (request: Authenticable, options?: AuthenticateOptions): Promise<AccessClaims> {
    const { live, maxAge } = readOptions(options, 'request.authenticate')
    const claims = await verify(request)
    if (maxAge !== undefined && now() - claims.auth_time * 1000 > maxAge) {
      const seconds = Math.floor(maxAge / 1000)
      throw refuse(ReauthenticationRequiredError, 'the login is too old', {
        'www-authenticate': `Bearer error="insufficient_user_authentication", error_description="A more recent login is required", max_age=${seconds}`
      })
    }
    if (live && await ask((store, within) => store.find(tagOf(claims.sub), claims.sid, within)) === undefined) {
      watch.ended(claims.sid)
      throw revoked()
    }
    admit(request, claims)
    return claims
  }

  return { authenticate: authenticate as AuthenticateHook, authenticateRequest }
}
