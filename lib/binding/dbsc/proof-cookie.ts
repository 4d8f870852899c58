import type { CookieSettings } from '../../http/cookie-settings'

/**
 * Returns the cookie that proofs travel in: the refresh cookie's attributes, and its name with
 * `_proof` for `_token`.
 */
export const proofCookieOf = ({ name, attributes }: CookieSettings): CookieSettings =>
  ({ name: `${name.replace(/_token$/, '')}_proof`, attributes })
