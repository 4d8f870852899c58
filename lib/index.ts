import './fastify'
import type { AuthenticateHook as AuthenticateHookType, AuthenticateOptions as AuthenticateOptionsType, User as UserType } from './actions/authenticate'
import type { Duration as DurationType } from './options/duration'
import type { SessionEvent as SessionEventType } from './events'
import type { TokenResponse as TokenResponseType } from './actions/issue'
import type { Secret as SecretType } from './tokens/keys'
import type { LoginClaims as LoginClaimsType, LoginOptions as LoginOptionsType } from './actions/login'
import type { LogoutOptions as LogoutOptionsType } from './actions/logout'
import type { AuthPluginOptions as AuthPluginOptionsType, ClaimsHook as ClaimsHookType, Reuse as ReuseType } from './options/options'
import { plugin } from './plugin'
import type { Claims as ClaimsType, Session as SessionType, Transport as TransportType } from './session/session'
import type { Sessions as SessionsType } from './actions/manage-sessions'
import { MemoryStore } from './store/memory'
import { RedisStore, type RedisClient as RedisClientType } from './store/redis/redis'
import type { Store as StoreType } from './store/store'

const authPlugin = Object.assign(plugin, { default: plugin, authPlugin: plugin, MemoryStore, RedisStore })

// eslint-disable-next-line @typescript-eslint/no-redeclare -- `export =` can carry types only in a namespace of the same name
declare namespace authPlugin {
  export type AuthPluginOptions = AuthPluginOptionsType
  export type AuthenticateHook = AuthenticateHookType
  export type AuthenticateOptions = AuthenticateOptionsType
  export type Claims = ClaimsType
  export type ClaimsHook = ClaimsHookType
  export type Duration = DurationType
  export type LoginClaims = LoginClaimsType
  export type LoginOptions = LoginOptionsType
  export type LogoutOptions = LogoutOptionsType
  export type RedisClient = RedisClientType
  export type Reuse = ReuseType
  export type Secret = SecretType
  export type Session = SessionType
  export type SessionEvent = SessionEventType
  export type Sessions = SessionsType
  export type Store = StoreType
  export type TokenResponse = TokenResponseType
  export type Transport = TransportType
  export type User = UserType
}

export = authPlugin
