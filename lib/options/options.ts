import type { FastifyRequest, RouteShorthandOptions } from 'fastify'
import type { CookieOptions } from '../http/cookie-settings'
import type { SessionClaims } from '../session/claims-types'
import type { Session, Transport } from '../session/session'
import type { RedisClient } from '../store/redis/client'
import type { Store } from '../store/store'
import type { Secret } from '../tokens/keys'
import type { Duration } from './duration'

/** A spent refresh token that came back. */
export interface Reuse {
  /** The public id of the session, which has ended. */
  sid: string
  /** The user. */
  sub: string
  /** The session's generation when it was ended. */
  generation: number
  /** How many generations old the token was. */
  distance: number
  /** How long ago the session's current refresh token was handed out, in ms. */
  msSinceRotation: number
  /** Where the routes of this registration are. */
  prefix: string
}

/** What the `claims` hook may return: new claims, `sub` is optional; `null` ends the session. */
export type NewClaims = Omit<SessionClaims, 'sub'> & { sub?: string | undefined }
/**
 * Returns the claims of a session before a rotation is written. It is not called for a repeat,
 * which writes nothing.
 */
export type ClaimsHook =
  (session: Session, request: FastifyRequest) => NewClaims | null | Promise<NewClaims | null>
/** Called once for each reuse that is found; whatever it throws changes nothing. */
export type ReuseHook = (reuse: Reuse, request: FastifyRequest) => void | Promise<void>
/** Route options that are merged into those of a route of the plugin. */
export type RouteExtras = Omit<RouteShorthandOptions, 'handler'>

/** A kind of proof by which a session is bound to its device. */
export type Binding = 'dbsc' | 'dpop'

/** Of access tokens. */
export interface AccessTokenOptions {
  /** How long one lives. @default '30m' */
  lifetime?: Duration | undefined
  /**
   * `iss`: set when signing, demanded when verifying. With `routes.metadata`, the URL of the
   * routes.
   * @default none
   */
  issuer?: string | undefined
  /** `aud`: set when signing, demanded when verifying. @default none */
  audience?: string | string[] | undefined
  /** `client_id`, and a fresh `jti`, in each one. @default none @see RFC 9068 §2.2 */
  clientId?: string | undefined
  /**
   * Cookie mode: with the cookie transport the access token travels in a cookie too, and the guard
   * renews it. `true`, or attributes of that cookie.
   * @default false; with `true` HttpOnly, Secure, SameSite=Lax, Path = the registration's scope
   */
  cookie?: boolean | CookieOptions | undefined
  /**
   * The access tokens of sessions bound by DPoP are bound as well: `cnf.jkt`, and
   * `Authorization: DPoP` with a proof. Needs `'dpop'` in `refreshToken.bindings`.
   * @default false @see RFC 9449 §6, §7
   */
  bound?: boolean | undefined
}

/** Of refresh tokens, and of the sessions that live by them. */
export interface RefreshTokenOptions {
  /** How long a session lives from its last refresh. @default '14d' */
  idleLifetime?: Duration | undefined
  /** How long a session lives from its login; nothing extends it. @default '90d' */
  absoluteLifetime?: Duration | undefined
  /**
   * How long a spent refresh token is still a repeat, from the issue of its successor; 0: strict.
   * @default '10s'
   */
  gracePeriod?: Duration | undefined
  /**
   * When a refresh token counts as spent: when its successor is issued, or when that is used.
   * @default 'issue'; 'use' in cookie mode
   */
  spentOn?: 'issue' | 'use' | undefined
  /** A refresh must bring the session's access token, expired or not. @default false */
  paired?: boolean | undefined
  /** How refresh tokens may travel; the first is a login's default. @default ['cookie'] */
  transports?: Transport[] | undefined
  /** By which proofs a login may bind its session to the device. @default [] */
  bindings?: Binding[] | undefined
  /**
   * Attributes of the cookie.
   * @default HttpOnly, Secure, SameSite=Strict (Lax in cookie mode), Path = the scope of the
   * registration
   */
  cookie?: CookieOptions | undefined
}

/** The plugin's own routes. */
export interface RoutesOptions {
  /** `POST {prefix}/refresh`: `false`, or route options to merge. @default on */
  refresh?: false | RouteExtras | undefined
  /** `POST {prefix}/logout`: `false`, or route options to merge. @default on */
  logout?: false | RouteExtras | undefined
  /**
   * `GET {prefix}/jwks.json`, the public keys: `true`, or route options to merge.
   * @default off; on with `metadata`
   */
  jwks?: boolean | RouteExtras | undefined
  /**
   * `GET {prefix}/.well-known/openid-configuration`, by which other services find the keys and the
   * endpoints: `true`, or route options to merge. Needs `accessToken.issuer`, the URL of the
   * routes, and a key pair; turns `jwks` on. @default off @see RFC 8414
   */
  metadata?: boolean | RouteExtras | undefined
  /**
   * `POST {prefix}/device`, which browsers call by themselves: route options to merge.
   * @default on with `'dbsc'`
   */
  device?: RouteExtras | undefined
}

/** The options of the plugin. */
export interface AuthPluginOptions {
  /** The key ring, newest first: the first signs, all verify. Required. */
  secret: Secret | readonly Secret[]
  /** An ioredis-compatible client. @default `fastify.redis`, if @fastify/redis is registered */
  redis?: RedisClient | undefined
  /** Where sessions live, instead of `redis`, such as `new MemoryStore()`. @default a RedisStore */
  store?: Store | undefined
  /** Of access tokens. @default see AccessTokenOptions */
  accessToken?: AccessTokenOptions | undefined
  /** Of refresh tokens, and of sessions. @default see RefreshTokenOptions */
  refreshToken?: RefreshTokenOptions | undefined
  /**
   * How many sessions a user may have; a login above it ends the oldest. `Infinity`: no limit.
   * @default 50
   */
  maxSessions?: number | undefined
  /** Where the plugin's routes are. @default '/auth' */
  prefix?: string
  /** `false`: an `authenticate` decorator of the application's own is left alone. @default true */
  decorateAuthenticate?: boolean | undefined
  /** The plugin's own routes. @default see RoutesOptions */
  routes?: RoutesOptions | undefined
  /**
   * Foreign origins whose pages may call the routes; a pattern must match the whole origin.
   * @default []
   */
  trustedOrigins?: Array<string | RegExp> | undefined
  /** The longest that one request may wait for the store; at most 30 s. @default 0.5 */
  storeTimeout?: Duration | undefined
  /** Renews the claims at each rotation. @default the login's claims stay */
  claims?: ClaimsHook | undefined
  /** Called once for each reuse that is found. @default nothing */
  onReuse?: ReuseHook | undefined
  /**
   * `'push'`: every node learns at once of every ended session.
   * @default 'none'; 'push' in cookie mode
   */
  revocation?: 'none' | 'push' | undefined
  /**
   * How many replicas must have each ending before it is confirmed, in `timeout` at most (0.1 s).
   * @default none
   */
  durability?: { replicas: number, timeout?: Duration | undefined } | undefined
}
