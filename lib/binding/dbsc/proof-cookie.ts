import type { CookieSettings } from '../../http/cookie-settings'

/** The cookie that a browser is to have before it refreshes. */
export interface Credential {
  readonly type: 'cookie'
  readonly name: string
  readonly attributes: string
}

type Serialize = (name: string, value: string, attributes: CookieSettings['attributes']) => string

/**
 * Returns the cookie that proofs travel in: the refresh cookie's attributes, and its name with
 * `_proof` for `_token`.
 */
export const proofCookieOf = ({ name, attributes }: CookieSettings): CookieSettings =>
  ({ name: `${name.replace(/_token$/, '')}_proof`, attributes })

/** Describes the proof cookie, as it is serialized, to a browser. */
export function credentialOf (cookie: CookieSettings, serialize: Serialize): Credential {
  const { name, attributes } = cookie
  // A browser says nothing, and binds nothing, if there are others: Max-Age, Partitioned.
  const { path, httpOnly, secure, sameSite } = attributes
  const [, ...parts] = serialize(name, '', { path, httpOnly, secure, sameSite }).split('; ')
  return { type: 'cookie', name, attributes: parts.join('; ') }
}
