import { hash, randomBytes } from 'node:crypto'
import type { Hs256 } from './hs256'
import type { Signers } from './signers'
import type { Transport } from '../session/session'
import type { SessionRecord } from '../store/store'

/** What a refresh token says: nothing about the user. */
export interface RefreshToken {
  /** The session's secret key, which nobody else knows. */
  readonly key: string
  /** The public id of the session, which follows from its key. */
  readonly sid: string
  /** The routing tag of the session's user. */
  readonly tag: string
  readonly gen: number
  readonly via: Transport
  /** When it ends, in seconds, by the store's clock. */
  readonly exp: number
}

export interface RefreshTokens {
  /** The token of the session's present generation: the same text however often, and wherever, it is made. */
  sign: (token: Pick<RefreshToken, 'key' | 'tag' | 'via'>, record: SessionRecord) => string
  /** What an authentic token says, expired or not; `undefined` for any other text. */
  recognise: (text: string) => RefreshToken | undefined
  /** Three characters that tell which key signs now. */
  readonly signer: string
}

/** The longest text that is looked at; no cookie can be longer. */
export const longestRefreshToken = 4096

/** A new session's secret key. */
export const createSessionKey = (): string => randomBytes(16).toString('base64url')

/** The public id of the session with that key. */
export function sidOf (key: string): string {
  return hash('sha256', `fastify-jwt-sessions session ${key}`, 'base64url').slice(0, 22)
}

/** Signs and recognises refresh tokens. */
export function createRefreshTokens (signers: Signers<Hs256>): RefreshTokens {
  const hint = (kid: string) => kid.slice(0, 3)
  return {
    signer: hint(signers[0].kid),
    sign: ({ key, tag, via }, { generation, expiresAt, signer }) => {
      // While a ring changes, nodes differ in which key is the first: the one that rotated has decided.
      const { sign } = signers.find(({ kid }) => hint(kid) === signer) ?? signers[0]
      return sign({ key, tag, gen: generation, via, exp: Math.ceil(expiresAt / 1000) })
    },
    recognise: (text) => {
      if (text.length > longestRefreshToken) return undefined
      for (const { verify } of signers) {
        const token = read(verify(text))
        if (token !== undefined) return token
      }
      return undefined
    }
  }
}

const isInteger = (given: unknown): given is number => Number.isSafeInteger(given)

function read (said: unknown): RefreshToken | undefined {
  const { key, tag, gen, via, exp } = (said ?? {}) as Record<string, unknown>
  return typeof key === 'string' && typeof tag === 'string' && isInteger(gen) && (via === 'cookie' || via === 'body') && isInteger(exp)
    ? { key, sid: sidOf(key), tag, gen, via, exp }
    : undefined
}
