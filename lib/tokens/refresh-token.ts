import { hash, randomBytes } from 'node:crypto'
import type { HandedOut, SessionRecord } from '../store/store'
import type { Transport } from '../session/session'
import type { RefreshKey, Ring } from './signers'

/** What a refresh token says: nothing about the user. */
export interface RefreshToken {
  /** The session's secret key, which nobody else knows. */
  readonly key: string
  /** The public id of the session, which follows from its key. */
  readonly sid: string
  /**
   * The tag of the session's user, which leads to the hash slot of their sessions; sealed in the
   * token.
   */
  readonly userTag: string
  readonly generation: number
  /** When it was handed out, in ms since the session's creation. */
  readonly handedOutAt: number
  readonly transport: Transport
  /** When it ends, in seconds since the epoch, by the store's clock. */
  readonly exp: number
  /** The idle lifetime of this session, in ms; `undefined`: the plugin's. */
  readonly idleLifetime: number | undefined
  /** The thumbprint of the DPoP key that it is bound to; `undefined`: none. @see RFC 9449 §5 */
  readonly jkt: string | undefined
  /** The thumbprint of the device's key (DBSC) that it is bound to; `undefined`: none. */
  readonly boundTo: string | undefined
  /** The user's tag as it is sealed, and the key of the ring that it is sealed with. */
  readonly sealed: { tag: string, kid: string }
}

/** What all refresh tokens of a session have in common. */
export type Lineage =
  Pick<RefreshToken, 'key' | 'userTag' | 'transport' | 'idleLifetime' | 'jkt'> &
  Partial<Pick<RefreshToken, 'sealed'>>

export interface RefreshTokens {
  /** Signs a refresh token: the same text however often, and on whichever node, it is signed. */
  sign: (lineage: Lineage, record: SessionRecord, next: HandedOut) => string
  /** Returns what an authentic token says, expired or not; `undefined` for any other text. */
  verify: (text: string) => RefreshToken | undefined
  /** Three characters that say which key signs now. */
  readonly signer: string
}

/** The longest text that is looked at, in characters; no cookie can be longer. */
export const longestRefreshToken = 4096

/** Creates a new session's secret key. */
export const createSessionKey = (): string => randomBytes(16).toString('base64url')

/** Returns the public id of the session with that key. */
export function sidOf (key: string): string {
  return hash('sha256', `fastify-jwt-sessions session ${key}`, 'base64url').slice(0, 22)
}

/** Creates what signs and verifies refresh tokens. */
export function createRefreshTokens (keys: Ring<RefreshKey>): RefreshTokens {
  const hint = (kid: string): string => kid.slice(0, 3)
  return {
    signer: hint(keys[0].kid),
    sign: ({ key, userTag, sealed, transport, idleLifetime, jkt }, record, { generation, at }) => {
      // While a ring changes, nodes differ in which key is the first: the one that rotated has
      // decided.
      const { kid, hs256, seal } = keys.find(({ kid }) => hint(kid) === record.signer) ?? keys[0]
      return hs256.sign({
        key,
        tag: sealed?.kid === kid ? sealed.tag : seal.apply(userTag, key),
        gen: generation,
        at,
        via: transport,
        exp: Math.ceil(record.expiresAt / 1000),
        idle: idleLifetime,
        cnf: jkt === undefined ? undefined : { jkt },
        bound: record.boundTo
      })
    },
    verify: (text) => {
      if (text.length > longestRefreshToken) return undefined
      for (const key of keys) {
        const said = key.hs256.verify(text)
        if (said !== undefined) return read(said as Record<string, unknown>, key)
      }
      return undefined
    }
  }
}

const isInteger = (given: unknown): given is number => Number.isSafeInteger(given)
const isTransport = (given: unknown): given is Transport => given === 'cookie' || given === 'body'

function read (
  said: Record<string, unknown>, { kid, seal }: RefreshKey
): RefreshToken | undefined {
  const { key, tag, gen, at, via, exp, idle, cnf, bound } = said
  if (typeof key !== 'string' || typeof tag !== 'string' || !isTransport(via)) return undefined
  if (!isInteger(gen) || !isInteger(at) || !isInteger(exp)) return undefined
  return {
    key,
    sid: sidOf(key),
    userTag: seal.apply(tag, key),
    generation: gen,
    handedOutAt: at,
    transport: via,
    exp,
    idleLifetime: idle as number | undefined,
    jkt: (cnf as { jkt?: string } | undefined)?.jkt,
    boundTo: bound as string | undefined,
    sealed: { tag, kid }
  }
}
