import './fastify'
import { authenticate } from './actions/imported-guard'
import { plugin } from './plugin'
import type * as types from './public'
import { MemoryStore } from './store/memory'
import { RedisStore } from './store/redis/redis'

const authPlugin = Object.assign(plugin, {
  default: plugin,
  authPlugin: plugin,
  authenticate,
  MemoryStore,
  RedisStore
})

// `export =` can carry types only in a namespace of the same name. A test holds its list to that of
// public.ts.
// eslint-disable-next-line @typescript-eslint/no-redeclare
declare namespace authPlugin {
  export type AboutSession = types.AboutSession
  export type AccessClaims = types.AccessClaims
  export type AccessTokenOptions = types.AccessTokenOptions
  export type AuthError = types.AuthError
  export type AuthPluginOptions = types.AuthPluginOptions
  export type Authenticable = types.Authenticable
  export type AuthenticateHook = types.AuthenticateHook
  export type AuthenticateOptions = types.AuthenticateOptions
  // Its own, since an application may augment it.

  export interface Claims {}
  export type ClaimsHook = types.ClaimsHook
  export type CookieOptions = types.CookieOptions
  export type Creation = types.Creation
  export type Duration = types.Duration
  export type Ended = types.Ended
  export type EndedAll = types.EndedAll
  export type EndingAll = types.EndingAll
  export type EventName = types.EventName
  export type HandedOut = types.HandedOut
  export type Listener = types.Listener
  export type LoginClaims = types.LoginClaims
  export type LoginOptions = types.LoginOptions
  export type LogoutOptions = types.LogoutOptions
  export type MemoryStore = import('./store/memory').MemoryStore
  export type NewClaims = types.NewClaims
  export type OpenedSession = types.OpenedSession
  export type Outcome = types.Outcome
  export type OwnClaims = types.OwnClaims
  export type Presentation = types.Presentation
  export type RedisClient = types.RedisClient
  export type RedisStore = import('./store/redis/redis').RedisStore
  export type RefreshTokenOptions = types.RefreshTokenOptions
  export type Replication = types.Replication
  export type Reuse = types.Reuse
  export type ReuseHook = types.ReuseHook
  export type Rotation = types.Rotation
  export type RouteExtras = types.RouteExtras
  export type RoutesOptions = types.RoutesOptions
  export type Secret = types.Secret
  export type Session = types.Session
  export type SessionClaims = types.SessionClaims
  export type SessionEvent = types.SessionEvent
  export type SessionEvents = types.SessionEvents
  export type SessionRecord = types.SessionRecord
  export type SessionUpdate = types.SessionUpdate
  export type Sessions = types.Sessions
  export type Store = types.Store
  export type TokenResponse = types.TokenResponse
  export type Transport = types.Transport
  export type User = types.User
  export type Verdict = types.Verdict
}

export = authPlugin
