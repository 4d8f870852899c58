import { hash } from 'node:crypto'
import { FifoMap } from 'toad-cache'

/** What identifies a proof: its key and its id. */
export interface ProofId {
  /** The thumbprint of the key. @see RFC 7638 */
  readonly jkt: string
  readonly jti: string
}

/** The proofs that this process has accepted. */
export interface Replays {
  /** Records a proof. Returns `false` if it was there already. */
  record: (proof: ProofId) => boolean
}

// About 20 MB when full. Above it the oldest are forgotten first: those that are fresh no more,
// unless a process accepts more than this many within ten minutes.
const most = 100_000

/**
 * Remembers the proofs of this process, so that each is accepted once. Other processes do not know
 * of them.
 * @see RFC 9449 §11.1
 */
export function createReplays (max = most): Replays {
  const seen = new FifoMap<true>(max)
  return {
    record: ({ jkt, jti }) => {
      const name = hash('sha256', jkt + jti, 'base64url')
      if (seen.get(name) === true) return false
      seen.set(name, true)
      return true
    }
  }
}
