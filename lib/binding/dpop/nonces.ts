import { createHmac, createSecretKey } from 'node:crypto'

/** The nonces of DPoP: each is a MAC of the minute, so nothing is stored, and all nodes agree. */
export interface Nonces {
  /** Returns the nonce of this minute, by the first key. `now` is the store's time in ms. */
  current: (now: number) => string
  /** Returns whether any of the keys made this nonce, and not longer than 5 minutes ago. */
  isFresh: (nonce: string, now: number) => boolean
}

const minute = 60_000
// A nonce lives for this minute and four more: 4 to 5 minutes in all. One is accepted ahead of
// time, since another node's idea of the store's time may be a moment ahead of ours.
const behind = 4
const ahead = 1

/**
 * Creates and checks nonces by these keys, the first of which makes them.
 * @see RFC 9449 §8, §9
 */
export function createNonces (keys: readonly Buffer[]): Nonces {
  const secrets = keys.map((key) => createSecretKey(key))
  const make = (minutes: number): string[] =>
    secrets.map((secret) => createHmac('sha256', secret).update(`${minutes}`).digest('base64url'))

  let known = { minutes: -1, current: '', fresh: new Set<string>() }
  function at (now: number): typeof known {
    const minutes = Math.floor(now / minute)
    if (known.minutes === minutes) return known
    const fresh = new Set<string>()
    for (let i = minutes - behind; i <= minutes + ahead; i++) {
      for (const nonce of make(i)) fresh.add(nonce)
    }
    const [current = ''] = make(minutes)
    return (known = { minutes, current, fresh })
  }

  return {
    current: (now) => at(now).current,
    isFresh: (nonce, now) => at(now).fresh.has(nonce)
  }
}
