// What the plugin adds to Fastify. It must be reached from index.d.ts, or users would not see it.
import '@fastify/jwt'
import type { AuthenticateHook, AuthenticateOptions, User } from './authenticate'
import type { TokenResponse } from './issue'
import type { LoginClaims, LoginOptions } from './login'
import type { LogoutOptions } from './logout'
import type { Sessions } from './sessions'

declare module 'fastify' {
  interface FastifyInstance {
    /** A hook that lets in requests with a good access token, and fills `request.user` and `request.sid`. */
    authenticate: AuthenticateHook
    sessions: Sessions
  }
  interface FastifyRequest {
    /** The public id of the session, once authenticated. */
    sid: string | null
    /** As the hook, with options; resolves to the user. */
    authenticate: (options?: AuthenticateOptions) => Promise<User>
  }
  interface FastifyReply {
    /** Opens a session and answers the token response, for the handler to send. */
    login: (claims: LoginClaims, options?: LoginOptions) => Promise<TokenResponse>
    /** Ends this request's session and clears the cookie. */
    logout: (options?: LogoutOptions) => Promise<void>
  }
}
