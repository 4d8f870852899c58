import { createTimedTokens, type DeviceSecrets } from './timed-token'

/** That a key has signed for one generation of a session. */
export interface Proof {
  readonly sid: string
  readonly generation: number
  /** The first 96 bits of the key's thumbprint. */
  readonly key: string
}

/** Proofs travel in a cookie from the device route to the refresh that follows. */
export interface Proofs {
  /** Returns the proof as a token; `now` in ms. */
  sign: (proof: Proof, now: number) => string
  /** Returns the keys that have signed for this generation, by the proofs among these texts. */
  keysOf: (texts: readonly string[], sid: string, generation: number, now: number) => string[]
}

const lifetime = 30_000

/** Signs and reads proofs, good for thirty seconds. */
export function createProofs (secrets: DeviceSecrets): Proofs {
  const { sign, verify } = createTimedTokens(secrets, 'dbsc-proof+jwt', lifetime)
  return {
    sign: ({ sid, generation: gen, key }, now) => sign({ sid, gen, key }, now),
    keysOf: (texts, sid, generation, now) => texts.flatMap((text) => {
      const proof = verify(text, now)
      return proof?.sid === sid && proof.gen === generation ? [String(proof.key)] : []
    })
  }
}
