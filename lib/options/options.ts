import type { FastifyRequest, RouteShorthandOptions } from 'fastify'
import type { CookieOptions } from '../http/cookie-settings'
import type { Duration } from './duration'
import type { Secret } from '../tokens/keys'
import type { Claims, Session, Transport } from '../session/session'
import type { RedisClient } from '../store/redis/redis'
import type { Store } from '../store/store'

/** A spent refresh token that came back. */
export interface Reuse {
  sid: string
  sub: string
  /** The session's generation when it was ended. */
  generation: number
  /** How many generations old the token was. */
  distance: number
  msSinceRotation: number
}

/** What the `claims` hook may answer: new claims, with or without `sub`; `null` ends the session. */
export type NewClaims = Omit<Claims, 'sub'> & { sub?: string }
export type ClaimsHook = (session: Session, request: FastifyRequest) => NewClaims | null | Promise<NewClaims | null>
export type ReuseHook = (reuse: Reuse, request: FastifyRequest) => void | Promise<void>
/** Route options that are merged into those of a route of the plugin. */
export type RouteExtras = Omit<RouteShorthandOptions, 'handler'>

/** The options of the plugin; each default stands in the README. */
export interface AuthPluginOptions {
  secret: Secret | readonly Secret[]
  redis?: RedisClient
  store?: Store
  accessToken?: { lifetime?: Duration, issuer?: string, audience?: string | string[] }
  refreshToken?: {
    idleLifetime?: Duration
    absoluteLifetime?: Duration
    gracePeriod?: Duration
    paired?: boolean
    transports?: Transport[]
    cookie?: CookieOptions
  }
  maxSessions?: number
  prefix?: string
  routes?: { refresh?: false | RouteExtras, logout?: false | RouteExtras, jwks?: boolean | RouteExtras }
  trustedOrigins?: string[]
  storeTimeout?: Duration
  claims?: ClaimsHook
  onReuse?: ReuseHook
  revocation?: 'none' | 'push'
  /** Waits until so many replicas have an ending, `timeout` at the longest (0.1 s). */
  durability?: { replicas: number, timeout?: Duration }
}
