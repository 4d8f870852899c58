import { createHs256, type Hs256 } from '../../tokens/hs256'

/** The keys for what browsers bring back, derived from the secrets of the ring, newest first. */
export type DeviceSecrets = readonly [DeviceSecret, ...DeviceSecret[]]

export interface DeviceSecret {
  readonly kid: string
  readonly secret: Buffer
}

type Members = Readonly<Record<string, string | number>>

/** Tokens of one type that are good for a fixed time. The first key signs, all of them verify. */
export interface TimedTokens {
  /** Returns a token with these members; `now` in ms. */
  sign: (members: Members, now: number) => string
  /** Returns the members of an authentic token whose time is not over, else `undefined`. */
  verify: (text: string, now: number) => Readonly<Record<string, unknown>> | undefined
}

/** Creates tokens of this type (`typ`), each good for `lifetime` ms. @see RFC 8725 §3.11 */
export function createTimedTokens (
  secrets: DeviceSecrets, typ: string, lifetime: number
): TimedTokens {
  const create = ({ kid, secret }: DeviceSecret): Hs256 => createHs256(secret, typ, kid)
  const [newest, ...older] = secrets
  const signer = create(newest)
  const verifiers = [signer, ...older.map(create)]
  return {
    sign: (members, now) => signer.sign({ ...members, exp: Math.ceil((now + lifetime) / 1000) }),
    verify: (text, now) => {
      for (const { verify } of verifiers) {
        const members = verify(text) as { exp: number } | undefined
        if (members !== undefined) return now < members.exp * 1000 ? members : undefined
      }
      return undefined
    }
  }
}
