import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

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

// A proof whose clock is five minutes ahead is fresh for ten minutes; monotonic time, so that no
// step of a clock shortens it.
const remembered = 10 * 60_000
// About 20 MB when full. Above it the oldest are forgotten first.
const most = 100_000

/**
 * Remembers the proofs of this process, so that each is accepted once. Other processes do not know
 * of them.
 * @see RFC 9449 §11.1
 */
export function createReplays (max = most, perf: { now: () => number } = performance): Replays {
  const seen = new LRUCache<string, true>({ max, ttl: remembered, ttlResolution: 0, perf })
  return {
    record: ({ jkt, jti }) => {
      const name = hash('sha256', jkt + jti, 'base64url')
      if (seen.has(name)) return false
      seen.set(name, true)
      return true
    }
  }
}
