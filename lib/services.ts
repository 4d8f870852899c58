import type { FastifyBaseLogger } from 'fastify'
import type { DeviceBinding } from './binding/dbsc/binding'
import type { Dpop } from './binding/dpop/dpop'
import type { Emit } from './events'
import type { Cookie } from './http/cookies'
import type { ReadCredentials } from './http/credentials'
import type { IsTrusted } from './http/cross-origin'
import type { Endings } from './session/endings'
import type { RevocationWatch } from './session/revocation-watch'
import type { Settings } from './settings'
import type { BoundedStore } from './store/bounded'
import type { AccessTokens } from './tokens/access-token'
import type { RefreshTokens } from './tokens/refresh-token'

/** What the actions and the routes work with: created once, when the plugin is registered. */
export interface Services {
  readonly settings: Settings
  readonly accessTokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly store: BoundedStore
  readonly watch: RevocationWatch
  readonly endings: Endings
  readonly readCredentials: ReadCredentials
  readonly refreshCookie: Cookie
  /** `undefined`: no cookie mode. */
  readonly accessCookie: Cookie | undefined
  readonly isTrusted: IsTrusted
  /** `undefined`: no login is bound by DBSC. */
  readonly deviceBinding: DeviceBinding | undefined
  /** There whatever the options say now: bound sessions stay bound. */
  readonly dpop: Dpop
  readonly emit: Emit
  readonly log: FastifyBaseLogger
}
