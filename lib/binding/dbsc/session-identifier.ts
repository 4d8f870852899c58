import { readJwk, type PublicJwk } from '../jwk'

/** What a browser calls a bound session: the session's `sid`, and its device's public key. */
export interface BoundSession {
  readonly sid: string
  readonly jwk: PublicJwk
}

/**
 * Returns the identifier of a bound session, `sid.x.y` or `sid.n`. The browser keeps the key in it
 * for the server, so that a proof is verified without the store. Nothing vouches for the key: the
 * store compares its thumbprint when the session is refreshed.
 */
export const toIdentifier = ({ sid, jwk }: BoundSession): string =>
  jwk.kty === 'EC' ? `${sid}.${jwk.x}.${jwk.y}` : `${sid}.${jwk.n}`

const isSid = /^[\w-]{22}$/

/** Reads an identifier; returns `undefined` for any other text. */
export function readIdentifier (text: string): BoundSession | undefined {
  const [sid = '', first, second, ...more] = text.split('.')
  if (!isSid.test(sid) || more.length > 0) return undefined
  const jwk = second === undefined
    ? readJwk({ kty: 'RSA', n: first, e: 'AQAB' }, 'RS256')
    : readJwk({ kty: 'EC', crv: 'P-256', x: first, y: second }, 'ES256')
  return jwk === undefined ? undefined : { sid, jwk }
}
