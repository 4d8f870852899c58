import type { Complain } from '../session/claims'
import type { Content } from '../session/content'
import type { Services } from '../services'
import { longestAccessToken } from '../tokens/access-token'
import { subjectOf } from './issue'
import { longestCookie, tooLong } from './token-cookies'

/** Returns whether both tokens of a session travel in cookies. */
export const isInCookies = ({ settings }: Services, { transport }: Content): boolean =>
  settings.accessCookie !== undefined && transport === 'cookie'

/**
 * Refuses claims whose access token no server would accept in a header, or no browser in a cookie.
 * @throws what `complain` creates
 */
export function checkSize (services: Services, content: Content, complain: Complain): void {
  const { accessTokens, settings } = services
  const name = isInCookies(services, content) ? settings.accessCookie?.name : undefined
  const most = name === undefined ? longestAccessToken : longestCookie - name.length
  const length = accessTokens.measure(subjectOf(content), most)
  if (length <= most) return
  if (name !== undefined) throw complain(tooLong(name.length + length))
  throw complain(`these claims make an access token of ${length} characters; ` +
    `${longestAccessToken} are the most that fit into a header`)
}
