import { describe, deny, isObject, type Check } from '../options/schema'
import { readCookieSettings, type CookieOptions, type CookieSettings } from './cookie-settings'

/** The option `accessToken.cookie`, checked as far as it can be alone; `undefined`: it is off. */
export const readAccessCookie: Check<CookieOptions | undefined> = (given, path) => {
  if (given === undefined || given === false) return undefined
  if (given === true) return {}
  const allowed = 'true, false or attributes of the cookie'
  return isObject(given) ? given : deny(path, describe(given), allowed)
}

/** What cookie mode depends on, and cannot be with. */
interface Others {
  /** Where the plugin is registered. */
  scope: string
  refreshCookie: CookieSettings
  transports: readonly string[]
  paired: boolean
  bindings: readonly string[]
  bound?: boolean
}

/** Normalizes the access token's cookie; `undefined`: cookie mode is off. @throws INVALID_OPTION */
export function readCookieMode (
  given: CookieOptions | undefined, others: Others
): CookieSettings | undefined {
  if (given === undefined) return undefined
  const option = 'accessToken.cookie'
  const { scope, refreshCookie, transports, paired, bindings, bound = false } = others
  if (!transports.includes('cookie')) {
    deny(option, 'given', "nothing where 'cookie' is not in refreshToken.transports")
  }
  // What a request brings by cookie, it brings both: the one would be no proof for the other.
  if (paired) deny(option, 'given beside refreshToken.paired', 'one of the two')
  // No proof can travel with the requests that a page makes by itself.
  if (bindings.includes('dbsc')) {
    deny(option, "given beside 'dbsc' in refreshToken.bindings", 'one of the two')
  }
  if (bound) deny(option, 'given beside accessToken.bound', 'one of the two')
  const settings = readCookieSettings(given, {
    option, noun: 'access_token', path: scope, sameSite: 'lax'
  })
  if (settings.name === refreshCookie.name) {
    deny(`${option}.name`, `"${settings.name}"`, "another name than the refresh token's cookie has")
  }
  return settings
}
