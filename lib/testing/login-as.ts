import { credentialsOf, type CredentialsOf } from '../actions/credentials-of'
import type { LoginClaims, LoginOptions } from '../actions/check-login'
import type { Sessions } from '../actions/manage-sessions'
import { NotRegisteredError } from '../errors'

/** What is used of the instance that the plugin is registered in. */
export interface TestedInstance {
  /** Waits until its plugins are loaded. */
  ready: () => PromiseLike<unknown>
  /** Of the plugin. */
  sessions: Sessions
}

/** A session that a test has opened, and what its requests bring. */
export interface TestLogin {
  /** For `inject`: `authorization`, and `cookie` with the tokens that travel in one. */
  headers: Record<string, string>
  /** The cookies alone, by name, with their values; none with the body transport. */
  cookies: Record<string, string>
  /** The access token alone. */
  accessToken: string
  /** The refresh token alone, for the body of a refresh. */
  refreshToken: string
  /** The public id of the session. */
  sid: string
}

/**
 * Opens a session without a route or a password, for a test: waits until the instance is ready, and
 * does what `reply.login` does. Rejects with NOT_REGISTERED, INVALID_LOGIN, STORE_UNAVAILABLE.
 * @example
 * const { headers } = await loginAs(app, { sub: 'ada' })
 * const response = await app.inject({ url: '/me', headers })
 */
export async function loginAs (
  fastify: TestedInstance, claims: LoginClaims, options?: LoginOptions
): Promise<TestLogin> {
  await fastify.ready()
  const { [credentialsOf]: credentials } = fastify as { [credentialsOf]?: CredentialsOf }
  if (credentials === undefined) throw new NotRegisteredError()
  const opened = await fastify.sessions.open(claims, options)
  const { sid, accessToken, refreshToken } = opened
  return { ...credentials(opened, options?.transport), accessToken, refreshToken, sid }
}
