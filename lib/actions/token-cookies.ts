import { InvalidClaimsError } from '../errors'
import type { Services } from '../services'
import type { Issued } from './issue'

/** The longest name and value of a cookie, in characters: browsers drop what is above 4,096. */
export const longestCookie = 4000

/**
 * Returns the Set-Cookie lines for issued tokens: of the refresh token, and in cookie mode of the
 * access token before it. They go together: a new one beside an old one would be two sessions.
 * @throws INVALID_CLAIMS if the access token does not fit into a cookie
 */
export function tokenCookies ({ refreshCookie, accessCookie }: Services, issued: Issued): string[] {
  const { accessToken, expiresIn, refreshToken, keptFor } = issued
  const ofRefresh = refreshCookie.serialize(refreshToken, keptFor)
  if (accessCookie === undefined) return [ofRefresh]
  const length = accessCookie.name.length + accessToken.length
  if (length > longestCookie) throw new InvalidClaimsError(tooLong(length))
  const lifetime = keptFor === undefined ? undefined : expiresIn * 1000
  return [accessCookie.serialize(accessToken, lifetime), ofRefresh]
}

/** Says that claims are too many for a cookie. */
export const tooLong = (length: number): string =>
  `these claims make a cookie of ${length} characters; ` +
  `${longestCookie} are the most that all browsers keep`
