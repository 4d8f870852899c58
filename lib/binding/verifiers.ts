import { createVerifier } from 'fast-jwt'
import { LruMap } from 'toad-cache'
import { createPublicKey } from 'node:crypto'
import { algorithmOf, thumbprint, type PublicJwk } from './jwk'

/** The claims of a JWS, none of them checked. */
export type Payload = Readonly<Record<string, unknown>>

/** Returns the payload of a JWS that this key has signed. @throws for any other */
export type Verify = (text: string, jwk: PublicJwk) => Payload

// About 2 kB each.
const most = 500

/**
 * Creates what verifies JWS of this type by the public keys that they bring. A verifier is kept for
 * each of the last 500 keys: 70 µs a signature, and 130 for a key that is met for the first time.
 * Times (`exp`, `nbf`, `iat`) are not judged, since a device's clock may be wrong.
 * @see RFC 7515 §5.2
 */
export function createVerify (checkTyp: string): Verify {
  const verifiers = new LruMap<(text: string) => Payload>(most)
  return (text, jwk) => {
    const name = thumbprint(jwk)
    const verify = verifiers.get(name) ?? verifierOf(jwk, checkTyp)
    const payload = verify(text)
    // Not before the signature is good: junk must not push out the keys of devices.
    verifiers.set(name, verify)
    return payload
  }
}

function verifierOf (jwk: PublicJwk, checkTyp: string): (text: string) => Payload {
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  return createVerifier({
    key: key.export({ format: 'pem', type: 'spki' }),
    algorithms: [algorithmOf(jwk)],
    checkTyp,
    ignoreExpiration: true,
    ignoreNotBefore: true
  })
}
