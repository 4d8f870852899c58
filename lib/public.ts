// Every public type, once.
export type {
  Authenticable,
  AuthenticateHook,
  AuthenticateOptions
} from './actions/authenticate'
export type { LoginClaims, LoginOptions } from './actions/check-login'
export type { LogoutOptions } from './actions/logout'
export type { OpenedSession, Sessions, SessionUpdate } from './actions/manage-sessions'
export type { AuthError } from './errors'
export type { AboutSession, EventName, SessionEvent, SessionEvents } from './events'
export type { CookieOptions } from './http/cookie-settings'
export type { Duration } from './options/duration'
export type {
  AccessTokenOptions,
  AuthPluginOptions,
  ClaimsHook,
  NewClaims,
  RefreshTokenOptions,
  Reuse,
  ReuseHook,
  RouteExtras,
  RoutesOptions
} from './options/options'
export type { TokenResponse } from './routes/token-response'
export type { Claims, SessionClaims, User } from './session/claims-types'
export type { Session, Transport } from './session/session'
export type { RedisClient } from './store/redis/client'
export type {
  Creation,
  Ended,
  EndedAll,
  EndingAll,
  HandedOut,
  Listener,
  Outcome,
  Presentation,
  Replication,
  Rotation,
  SessionRecord,
  Store,
  Verdict
} from './store/store'
export type { AccessClaims, OwnClaims } from './tokens/access-token'
export type { Secret } from './tokens/keys'
