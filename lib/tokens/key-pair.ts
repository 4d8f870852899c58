import { createHash, createPrivateKey, createPublicKey, KeyObject } from 'node:crypto'
import { deny, typeOf } from '../options/schema'
import { deriveAll } from './derived-keys'
import type { Algorithm, Key } from './keys'

interface Parts {
  private?: unknown
  public?: unknown
}

// FIPS 186-5 §5.4 asks for it; with an exponent of 1, everybody can sign.
const leastExponent = 65537n
const pairs = 'an Ed25519, P-256 or RSA (2048 bits or more) key as PEM or KeyObject'

/** Reads a key pair, or a public key that can only verify. @throws INVALID_OPTION */
export function readKeyPair (given: object, path: string): Key {
  const { private: privatePart, public: publicPart, ...others }: Parts = given
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
  const members = own.export({ format: 'jwk' })
  const kid = thumbprint(members)
  const jwk = { ...members, kid, alg: algorithm, use: 'sig' }
  const spki = String(own.export({ format: 'pem', type: 'spki' }))
  if (privateKey === undefined) {
    return { kid, algorithm, access: { public: spki }, derived: undefined, jwk }
  }
  const pkcs8 = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  // The private exponent or scalar, whatever the encoding in which the key was given.
  const secret = Buffer.from(String(privateKey.export({ format: 'jwk' }).d), 'base64url')
  const access = { private: pkcs8, public: spki }
  return { kid, algorithm, access, derived: deriveAll(secret), jwk }
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

/** The first 48 bits of the key's thumbprint. @see RFC 7638 §3 */
function thumbprint (jwk: Record<string, unknown>): string {
  const members = ['crv', 'e', 'kty', 'n', 'x', 'y'].filter((name) => name in jwk)
  return createHash('sha256')
    .update(JSON.stringify(jwk, members))
    .digest()
    .subarray(0, 6)
    .toString('base64url')
}
