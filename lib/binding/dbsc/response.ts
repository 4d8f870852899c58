import { readJws, type Jws } from '../jws'
import type { DeviceAlgorithm } from '../jwk'

/** What a device has signed; the signature is not verified yet. */
export interface DeviceResponse {
  readonly jws: Jws
  readonly algorithm: DeviceAlgorithm
  /** The text of the challenge that it answers. */
  readonly challenge: string
}

// An RSA key of 4096 bits and its signature take 2,500 characters.
const longest = 4096

/** Reads `Secure-Session-Response`; returns `undefined` if it is missing or malformed. */
export function readResponse (header: unknown): DeviceResponse | undefined {
  const jws = readJws(readItem(header) ?? '', longest)
  if (jws?.header.typ !== 'dbsc+jwt') return undefined
  const { alg: algorithm } = jws.header
  const { jti: challenge } = jws.payload
  if (algorithm !== 'ES256' && algorithm !== 'RS256') return undefined
  return typeof challenge === 'string' ? { jws, algorithm, challenge } : undefined
}

const item = /^(?:"([^"\\]*)"|([^\s",;\\]+))(?:;.*)?$/

/**
 * Reads a header that holds one string. Browsers send it without the quotation marks that a
 * structured field has. Parameters are ignored. Returns `undefined` if there is no such header.
 * @see RFC 8941 §3.3.3
 */
export function readItem (header: unknown): string | undefined {
  if (typeof header !== 'string') return undefined
  const [, quoted, bare] = item.exec(header.trim()) ?? []
  return quoted ?? bare
}
