import type { Services } from '../services'
import type { OpenedSession } from './manage-sessions'

/** What a request of a session brings, by name of header and by name of cookie. */
export interface SessionCredentials {
  headers: Record<string, string>
  cookies: Record<string, string>
}

/** Returns what a request of an opened session brings. */
export type CredentialsOf = (opened: OpenedSession, transport?: string) => SessionCredentials

/** Where an instance keeps its `CredentialsOf`, for `loginAs`. */
export const credentialsOf = Symbol('what a request of a session brings')

/** Creates what knows where the tokens of a session travel. */
export function createCredentialsOf (services: Services): CredentialsOf {
  const { accessCookie, refreshCookie, settings } = services
  const [usual] = settings.refreshToken.transports
  return ({ accessToken, refreshToken }, transport = usual) => {
    const bearer = { authorization: `Bearer ${accessToken}` }
    if (transport !== 'cookie') return { headers: bearer, cookies: {} }
    const cookies = {
      ...accessCookie && { [accessCookie.name]: accessToken },
      [refreshCookie.name]: refreshToken
    }
    const cookie = Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ')
    return { headers: accessCookie === undefined ? { ...bearer, cookie } : { cookie }, cookies }
  }
}
