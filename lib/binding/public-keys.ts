import { createPublicKey, type KeyObject } from 'node:crypto'
import { LruMap } from 'toad-cache'
import { thumbprint, type PublicJwk } from './jwk'

/** The keys that devices have proven themselves by. */
export interface PublicKeys {
  /** Returns the key to verify with; `undefined` for a point that is not on the curve. */
  import: (jwk: PublicJwk) => KeyObject | undefined
}

// About 1 kB each.
const most = 500

/**
 * Imports public keys, and remembers the last 500: an import costs 63 µs, as much as the
 * verification after it.
 */
export function createPublicKeys (): PublicKeys {
  const known = new LruMap<KeyObject>(most)
  return {
    import: (jwk) => {
      const name = thumbprint(jwk)
      const key = known.get(name) ?? toKey(jwk)
      if (key !== undefined) known.set(name, key)
      return key
    }
  }
}

function toKey (jwk: PublicJwk): KeyObject | undefined {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    return undefined
  }
}
