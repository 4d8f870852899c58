import authPlugin from './index.js'

export default authPlugin
export const { MemoryStore, RedisStore } = authPlugin
/* eslint-disable @typescript-eslint/no-redeclare -- a class is a value and a type, and only the value comes through the const */
export type MemoryStore = InstanceType<typeof authPlugin.MemoryStore>
export type RedisStore = InstanceType<typeof authPlugin.RedisStore>
/* eslint-enable @typescript-eslint/no-redeclare */
export type AuthPluginOptions = authPlugin.AuthPluginOptions
export type AuthenticateHook = authPlugin.AuthenticateHook
export type AuthenticateOptions = authPlugin.AuthenticateOptions
export type Claims = authPlugin.Claims
export type ClaimsHook = authPlugin.ClaimsHook
export type Duration = authPlugin.Duration
export type LoginClaims = authPlugin.LoginClaims
export type LoginOptions = authPlugin.LoginOptions
export type LogoutOptions = authPlugin.LogoutOptions
export type RedisClient = authPlugin.RedisClient
export type Reuse = authPlugin.Reuse
export type Secret = authPlugin.Secret
export type Session = authPlugin.Session
export type SessionEvent = authPlugin.SessionEvent
export type Sessions = authPlugin.Sessions
export type Store = authPlugin.Store
export type TokenResponse = authPlugin.TokenResponse
export type Transport = authPlugin.Transport
export type User = authPlugin.User
