import { createHash, randomBytes } from 'node:crypto'
import { signerOf, type Payload, type Signers } from './jwt'
import type { Transport } from './session'
import type { SessionRecord } from './store/store'

/** What a refresh token says: nothing about the user. */
export interface RefreshToken {
  /** The session's secret key, which nobody else knows. */
  readonly key: string
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
  /** Four characters that tell which key signs now. */
  readonly signer: string
}

/** The longest text that is looked at; no cookie can be longer. */
export const longestRefreshToken = 4096

/** A new session's secret key. */
export const createSessionKey = (): string => randomBytes(16).toString('base64url')

/** The public id of the session with that key. */
export function sidOf (key: string): string {
  return createHash('sha256').update('fastify-jwt-sessions session ').update(key).digest('base64url').slice(0, 22)
}

/** Signs and recognises refresh tokens. */
export function createRefreshTokens (signers: Signers): RefreshTokens {
  const hint = (kid: string) => kid.slice(0, 4)
  return {
    signer: hint(signers[0].kid),
    sign: ({ key, tag, via }, { generation, expiresAt, signer }) => {
      // While a ring changes, nodes differ in which key is the first: the one that rotated has decided.
      const { sign } = signers.find(({ kid }) => hint(kid) === signer) ?? signers[0]
      return sign({ key, tag, gen: generation, via, exp: Math.ceil(expiresAt / 1000) })
    },
    recognise: (text) => {
      if (text.length > longestRefreshToken) return undefined
      try {
        const token = signerOf(signers, text)?.verify(text)
        return token !== undefined && isRefreshToken(token) ? token : undefined
      } catch {
        return undefined
      }
    }
  }
}

function isRefreshToken (token: Payload): token is Payload & RefreshToken {
  return typeof token.key === 'string' && typeof token.tag === 'string' && (token.via === 'cookie' || token.via === 'body') &&
    Number.isSafeInteger(token.gen) && Number.isSafeInteger(token.exp)
}
