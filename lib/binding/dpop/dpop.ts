import type { Key } from '../../tokens/keys'
import type { Ring } from '../../tokens/signers'
import { createNonces } from './nonces'
import { createReadProof, type Proving, type ReadProof } from './proof'
import { invalidProof } from './refusal'
import { createReplays, type Replays } from './replays'

/** What the proofs of keys that apps and pages hold are read with. @see RFC 9449 */
export interface Dpop {
  /** Returns which key a request proves. The same proof may come again. */
  readonly read: ReadProof
  /**
   * Returns the thumbprint of the key that a request proves for this access token: once for each
   * request, however many guards ask. A proof that this process has seen before is refused.
   * @throws DPOP_PROOF_MISSING, DPOP_PROOF_INVALID, DPOP_NONCE_REQUIRED, all of them 401
   */
  readonly readOnce: (request: Proving, accessToken: string) => string
  /** Returns the nonce of this minute. @see RFC 9449 §8.2 */
  readonly nonce: () => string
}

/** Creates the reader of proofs. `now` returns the store's time in ms. */
export function createDpop (ring: Ring<Key>, now: () => number): Dpop {
  const nonces = createNonces(ring.flatMap(({ derived }) => derived?.nonce ?? []))
  const read = createReadProof(nonces, now)
  const shown = new WeakMap<Proving, string>()
  // It takes megabytes, and most applications never need it.
  let replays: Replays | undefined

  return {
    read,
    readOnce: (request, accessToken) => {
      const known = shown.get(request)
      if (known !== undefined) return known
      const proof = read(request, { status: 401, accessToken })
      replays ??= createReplays()
      if (!replays.record(proof)) throw invalidProof('this process has seen it before', 401)
      shown.set(request, proof.jkt)
      return proof.jkt
    },
    nonce: () => nonces.current(now())
  }
}
