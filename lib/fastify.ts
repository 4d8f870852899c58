// What the plugin adds to Fastify. It must be reached from index.d.ts, or users would not see it.
import '@fastify/jwt'
import type { AuthenticateHook, AuthenticateOptions, User } from './actions/authenticate'
import type { TokenResponse } from './actions/issue'
import type { LoginClaims, LoginOptions } from './actions/login'
import type { LogoutOptions } from './actions/logout'
import type { Sessions } from './actions/manage-sessions'

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
