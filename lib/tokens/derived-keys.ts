import { hkdfSync } from 'node:crypto'

/**
 * The keys of 32 bytes that are derived from one of the ring, each for one purpose.
 * @see RFC 5869
 */
export interface DerivedKeys {
  /** Signs refresh tokens. */
  readonly refreshToken: Buffer
  /** Seals the tag of the user in them. */
  readonly userTag: Buffer
  /** Signs the challenges and proofs of devices (DBSC). */
  readonly device: Buffer
  /** Makes the nonces of DPoP. */
  readonly nonce: Buffer
}

/** Derives all keys from the secret bytes of one. */
export function deriveAll (secret: Buffer): DerivedKeys {
  return {
    refreshToken: derive(secret, 'refresh token', 32),
    userTag: derive(secret, 'user tag', 32),
    device: derive(secret, 'device', 32),
    nonce: derive(secret, 'nonce', 32)
  }
}

/** Derives a key of `length` bytes for one purpose. @see RFC 5869 */
export function derive (secret: Buffer, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `fastify-jwt-sessions ${purpose}`, length))
}
