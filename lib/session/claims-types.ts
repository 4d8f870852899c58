import type { FastifyJWT } from '@fastify/jwt'
import type authPlugin = require('../index')
import type { AccessClaims, OwnClaims } from '../tokens/access-token'

/**
 * The application's claims, which it types by augmentation, or by augmenting `FastifyJWT` of
 * @fastify/jwt.
 * @example
 * declare module 'fastify-jwt-sessions' {
 *   interface Claims { role: 'admin' | 'member' }
 * }
 */

export interface Claims {}

// A CommonJS module augments the namespace of index.ts, an ES module what index.mts passes on.
type Augmented = Claims & authPlugin.Claims
type OfFastifyJwt<Default> = FastifyJWT extends { payload: infer T extends object } ? T : Default

/** The claims of a session: `Claims` if the application augments it, else those of FastifyJWT. */
export type SessionClaims =
  keyof Augmented extends never ? OfFastifyJwt<Record<string, unknown>> : Augmented

/**
 * What FastifyJWT inherits, so that `request.user` has the claims of an application that augments
 * `Claims`. Of another application it may be anything: its own `user` must not contradict this.
 */
export type TypedUser = keyof Augmented extends never ? object : { user: Augmented & OwnClaims }

/** The claims of the access token that a guard has let in: the application's, and the plugin's. */
export type User =
  (FastifyJWT extends { user: infer T extends object } ? T : OfFastifyJwt<AccessClaims>) & OwnClaims
