import { createPrivateKey, createPublicKey, hkdfSync, KeyObject, createHash } from 'node:crypto'
import { deny } from '../options/schema'

/**
 * A shared secret of at least 32 bytes (HS256), or a key pair: Ed25519 → EdDSA, P-256 → ES256, RSA
 * ≥ 2048 → RS256.
 */
export type Secret =
  string | Buffer | { private?: string | Buffer | KeyObject; public?: string | Buffer | KeyObject }

export type Algorithm = 'HS256' | 'EdDSA' | 'ES256' | 'RS256'

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
// FIPS 186-5 §5.4 asks for it; with an exponent of 1, everybody can sign.
const leastExponent = 65537n
const pairs = 'an Ed25519, P-256 or RSA (2048 bits or more) key as PEM or KeyObject'

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
    return readPair(secret as { private?: unknown; public?: unknown }, path)
  }
  return deny(
    path,
    secret === undefined ? 'missing' : typeOf(secret),
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
      `a secret of ${secret.length} bytes`,
      `at least ${leastBytes} bytes, best random ones`
    )
  }
  const kid = derive(secret, 'kid', 6).toString('base64url')
  return { kid, algorithm: 'HS256', access: secret, derived: deriveAll(secret), jwk: undefined }
}

function readPair (
  { private: privatePart, public: publicPart, ...others }: { private?: unknown; public?: unknown },
  path: string
): Key {
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    deny(`${path}.${unknown}`, 'unknown', `${path}.private, ${path}.public`)
  }
  const privateKey =
    privatePart === undefined ? undefined : toKey(privatePart, 'private', `${path}.private`)
  const publicKey =
    publicPart === undefined ? undefined : toKey(publicPart, 'public', `${path}.public`)
  const own = privateKey === undefined ? publicKey : createPublicKey(privateKey)
  if (own === undefined) return deny(path, 'neither a private nor a public key', pairs)
  if (publicKey !== undefined && !publicKey.equals(own)) {
    deny(path, 'a private and a public key that do not match', 'the two halves of one pair')
  }
  const algorithm = algorithmOf(own, path)
  const jwk = own.export({ format: 'jwk' })
  const kid = thumbprint(jwk)
  const spki = String(own.export({ format: 'pem', type: 'spki' }))
  if (privateKey === undefined) {
    return {
      kid,
      algorithm,
      access: { public: spki },
      derived: undefined,
      jwk: { ...jwk, kid, alg: algorithm, use: 'sig' }
    }
  }
  return {
    kid,
    algorithm,
    access: { private: String(privateKey.export({ format: 'pem', type: 'pkcs8' })), public: spki },
    // The private exponent or scalar, whatever the encoding in which the key was given.
    derived: deriveAll(Buffer.from(String(privateKey.export({ format: 'jwk' }).d), 'base64url')),
    jwk: { ...jwk, kid, alg: algorithm, use: 'sig' }
  }
}

function toKey (given: unknown, type: 'private' | 'public', path: string): KeyObject {
  if (given instanceof KeyObject) {
    return given.type === type ? given : deny(path, `a ${given.type} key`, `a ${type} key`)
  }
  if (typeof given !== 'string' && !Buffer.isBuffer(given)) return deny(path, typeOf(given), pairs)
  if (type === 'public' && given.includes('PRIVATE KEY')) {
    return deny(path, 'a private key', 'a public key')
  }
  try {
    return type === 'private' ? createPrivateKey(given) : createPublicKey(given)
  } catch {
    return deny(path, `not a readable ${type} key`, pairs)
  }
}

const typeOf = (given: unknown): string => `of type ${given === null ? 'null' : typeof given}`

function algorithmOf (key: KeyObject, path: string): Algorithm {
  const {
    namedCurve,
    modulusLength = 0,
    publicExponent = leastExponent
  } = { ...key.asymmetricKeyDetails }
  if (publicExponent < leastExponent) {
    deny(
      path,
      `an RSA key with the public exponent ${publicExponent}`,
      `an exponent of ${leastExponent} or more`
    )
  }
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA'
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256'
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return 'RS256'
  const curve = namedCurve === undefined ? '' : ` on ${namedCurve}`
  const size = modulusLength > 0 ? ` of ${modulusLength} bits` : ''
  return deny(path, `a key of type ${key.asymmetricKeyType}${curve}${size}`, pairs)
}

function deriveAll (secret: Buffer): DerivedKeys {
  return {
    refreshToken: derive(secret, 'refresh token', 32),
    userTag: derive(secret, 'user tag', 32),
    device: derive(secret, 'device', 32),
    nonce: derive(secret, 'nonce', 32)
  }
}

/** Derives a key for one purpose. @see RFC 5869 */
function derive (secret: Buffer, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `fastify-jwt-sessions ${purpose}`, length))
}

/** The first 48 bits of the key's thumbprint. @see RFC 7638 §3 */
function thumbprint (jwk: Record<string, unknown>): string {
  const members = ['crv', 'e', 'kty', 'n', 'x', 'y'].filter((name) => name in jwk)
  return createHash('sha256')
    .update(JSON.stringify(jwk, members))
    .digest()
    .subarray(0, 6)
    .toString('base64url')
}
