import type { KeyObject } from 'node:crypto'
import { deny, typeOf } from '../options/schema'
import { derive, deriveAll, type DerivedKeys } from './derived-keys'
import { readKeyPair } from './key-pair'

/**
 * A shared secret of at least 32 bytes (HS256), or a key pair: Ed25519 → EdDSA, P-256 → ES256, RSA
 * ≥ 2048 → RS256.
 */
export type Secret = string | Buffer | KeyPair

/** A key pair, as PEM or KeyObject. */
interface KeyPair {
  /** Signs and verifies. @default none: the pair verifies only */
  private?: string | Buffer | KeyObject | undefined
  /** Verifies. @default that of `private` */
  public?: string | Buffer | KeyObject | undefined
}

export type Algorithm = 'HS256' | 'EdDSA' | 'ES256' | 'RS256'

/**
 * One key of the ring: what signs and verifies access tokens, and the keys derived from it for
 * everything else.
 */
export interface Key {
  readonly kid: string
  readonly algorithm: Algorithm
  /** A secret for HS256, else PEM; no `private` if the key can only verify. */
  readonly access: Buffer | { private?: string, public: string }
  /** `undefined` if the private key is not here. */
  readonly derived: DerivedKeys | undefined
  /** The public members, for the JWK set. @see RFC 7517 §4 */
  readonly jwk: Record<string, unknown> | undefined
}

const leastBytes = 32

/** Reads the ring, newest first. @throws INVALID_OPTION with the reason, never with the secret */
export function readRing (given: unknown): [Key, ...Key[]] {
  const secrets: unknown[] = Array.isArray(given) ? given : [given]
  const [first, ...others] = secrets.map((secret, i) =>
    readKey(secret, Array.isArray(given) ? `secret[${i}]` : 'secret')
  )
  if (first === undefined) deny('secret', 'an empty array', 'one secret, or several, newest first')
  if (first.derived === undefined) {
    deny(
      Array.isArray(given) ? 'secret[0]' : 'secret',
      'a public key alone, first in the ring',
      'a private key first: the first one signs'
    )
  }
  const ring: [Key, ...Key[]] = [first, ...others]
  ring.forEach(({ kid }, i) => {
    const twin = ring.findIndex((key) => key.kid === kid)
    if (twin < i) deny(`secret[${i}]`, `the same key as secret[${twin}]`, 'each key once')
  })
  return ring
}

function readKey (secret: unknown, path: string): Key {
  if (typeof secret === 'string' || Buffer.isBuffer(secret)) {
    return readSharedSecret(Buffer.from(secret as string), path)
  }
  if (
    typeof secret === 'object' &&
    secret !== null &&
    ('private' in secret || 'public' in secret)
  ) {
    return readKeyPair(secret, path)
  }
  return deny(
    path,
    typeOf(secret),
    'a string or Buffer of at least 32 bytes, or { private, public }'
  )
}

function readSharedSecret (secret: Buffer, path: string): Key {
  if (secret.includes('-----BEGIN ')) {
    deny(path, 'a PEM given as a shared secret', '{ private, public } for a key pair')
  }
  if (secret.length < leastBytes) {
    deny(
      path,
      secret.length === 0 ? 'empty' : `a secret of ${secret.length} bytes`,
      `at least ${leastBytes} bytes, best random ones`
    )
  }
  const kid = derive(secret, 'kid', 6).toString('base64url')
  return { kid, algorithm: 'HS256', access: secret, derived: deriveAll(secret), jwk: undefined }
}
