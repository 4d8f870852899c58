// Packages that tests use, and that bring no types: what is used of them.

declare module 'simple-oauth2' {
  interface Token { access_token: string, refresh_token: string }
  export interface AccessToken {
    token: Token
    refresh (): Promise<AccessToken>
    revoke (kind: 'access_token' | 'refresh_token'): Promise<void>
  }
  export class AuthorizationCode {
    constructor (config: object)
    createToken (token: object): AccessToken
  }
}

declare module 'passport-jwt' {
  import type { IncomingMessage } from 'node:http'

  type Done = (error: Error | null, user: unknown) => void
  export class Strategy {
    constructor (options: object, verify: (claims: object, done: Done) => void)
    authenticate (request: Pick<IncomingMessage, 'headers'>): void
    /** What passport gives a strategy. */
    success: (user: unknown) => void
    fail: (error: Error) => void
    error: (error: Error) => void
  }
  export const ExtractJwt: { fromAuthHeaderAsBearerToken (): unknown }
}
