import { hash } from 'node:crypto'
import { isObject } from '../options/schema'

/** The signature algorithms that a device may use. */
export type DeviceAlgorithm = 'ES256' | 'RS256'

/** The public key of a device: the members that make the key, and no others. @see RFC 7517 §4 */
export type PublicJwk =
  | { readonly kty: 'EC', readonly crv: 'P-256', readonly x: string, readonly y: string }
  | { readonly kty: 'RSA', readonly n: string, readonly e: 'AQAB' }

// A key has one spelling only: 256 bits in 43 characters, of which the last one holds four.
const coordinate = /^[\w-]{42}[AEIMQUYcgkosw048]$/
const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const leastBits = 2048
// 4096 bits; a larger key is expensive to verify with.
const longestModulus = 683

/**
 * Reads the public key that a JWK holds for this algorithm: P-256 for ES256, RSA of 2048 to 4096
 * bits with the exponent 65537 for RS256. Returns `undefined` for anything else, and for a JWK
 * with private members.
 * @see RFC 7518 §6.2.1, §6.3.1
 */
export function readJwk (given: unknown, algorithm: DeviceAlgorithm): PublicJwk | undefined {
  if (!isObject(given) || secretMembers.some((name) => Object.hasOwn(given, name))) return undefined
  const { kty, crv, x, y, n, e } = given
  if (algorithm === 'ES256') {
    return kty === 'EC' && crv === 'P-256' && isCoordinate(x) && isCoordinate(y)
      ? { kty, crv, x, y }
      : undefined
  }
  return kty === 'RSA' && e === 'AQAB' && isModulus(n) ? { kty, n, e } : undefined
}

const isCoordinate = (given: unknown): given is string =>
  typeof given === 'string' && coordinate.test(given)

function isModulus (given: unknown): given is string {
  if (typeof given !== 'string' || given.length > longestModulus) return false
  const bytes = Buffer.from(given, 'base64url')
  const [first = 0] = bytes
  if (first === 0 || bytes.toString('base64url') !== given) return false
  return bytes.length * 8 - (Math.clz32(first) - 24) >= leastBits
}

/** Returns the algorithm that a key signs with. */
export const algorithmOf = ({ kty }: PublicJwk): DeviceAlgorithm => kty === 'EC' ? 'ES256' : 'RS256'

/** Returns the SHA-256 thumbprint of a key: 43 characters of base64url. @see RFC 7638 §3 */
export function thumbprint (jwk: PublicJwk): string {
  const { kty } = jwk
  const members = kty === 'EC'
    ? { crv: jwk.crv, kty, x: jwk.x, y: jwk.y }
    : { e: jwk.e, kty, n: jwk.n }
  return hash('sha256', JSON.stringify(members), 'base64url')
}

/** Returns the first 96 bits of a key's thumbprint: 16 characters of base64url. */
export const shortThumbprint = (jwk: PublicJwk): string => thumbprint(jwk).slice(0, 16)
