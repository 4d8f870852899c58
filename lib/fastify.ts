// What the plugin adds to Fastify. It must be reached from index.d.ts, or users would not see it.
import '@fastify/jwt'
import type { AuthenticateHook, AuthenticateOptions } from './actions/authenticate'
import type { LoginClaims, LoginOptions } from './actions/check-login'
import type { LogoutOptions } from './actions/logout'
import type { Sessions } from './actions/manage-sessions'
import type { TokenResponse } from './routes/token-response'
import type { TypedUser, User } from './session/claims-types'

declare module '@fastify/jwt' {
  // Inherited, not declared: an application may declare `user` itself.
  interface FastifyJWT extends TypedUser {}
}

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * A hook that lets in requests with a good access token, and fills `request.user` and
     * `request.sid`.
     */
    authenticate: AuthenticateHook
    /** A user's sessions. */
    sessions: Sessions
  }
  interface FastifyRequest {
    /** The public id of the session, once authenticated. */
    sid: string | null
    /**
     * As the hook, with options; resolves with the user. On the plugin's own routes, which a guard
     * of the whole application meets too, it resolves with `null`, as `request.user` is there.
     */
    authenticate: (options?: AuthenticateOptions) => Promise<User>
  }
  interface FastifyReply {
    /** Opens a session and resolves with the token response, for the handler to send. */
    login: (claims: LoginClaims, options?: LoginOptions) => Promise<TokenResponse>
    /**
     * Ends this request's session and clears the cookie; resolves with whether the replicas have
     * confirmed it.
     */
    logout: (options?: LogoutOptions) => Promise<boolean>
  }
}
