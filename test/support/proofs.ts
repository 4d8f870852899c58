import { generateKeyPairSync, hash, randomUUID, sign, type KeyObject } from 'node:crypto'

type Members = Record<string, unknown>

/** A device that makes DPoP proofs by hand, so that a test can spoil any part of them. */
export interface Device {
  /** The public key. */
  jwk: Members
  /** Its thumbprint. @see RFC 7638 */
  jkt: string
  privateKey: KeyObject
  /** Makes a proof; `undefined` removes a member. */
  prove: (claims: Members, header?: Members) => string
}

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')

/** Signs a compact JWS by ES256. */
export function signJws (header: unknown, payload: unknown, key: KeyObject): string {
  const signed = `${encode(header)}.${encode(payload)}`
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

/** Returns the thumbprint of a P-256 key. @see RFC 7638 §3 */
export function thumbprint ({ crv, kty, x, y }: Members): string {
  return hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url')
}

/** Creates a device with a key of its own. */
export function createDevice (namedCurve = 'P-256'): Device {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  const jwk = publicKey.export({ format: 'jwk' }) as Members
  return {
    jwk,
    jkt: thumbprint(jwk),
    privateKey,
    prove: (claims, header) => signJws(
      { typ: 'dpop+jwt', alg: 'ES256', jwk, ...header },
      { jti: randomUUID(), ...claims },
      privateKey
    )
  }
}
