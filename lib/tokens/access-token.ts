import { randomBytes } from 'node:crypto'
import type { SessionRecord } from '../store/store'
import { signerOf, type Payload, type Ring, type Signer } from './signers'
import { VerifiedTokens } from './verified-tokens'

/** The claims that the plugin sets in every access token. */
export interface OwnClaims {
  /** The user. */
  sub: string
  /** The public id of the session. */
  sid: string
  /** When it was issued, in seconds since the epoch. */
  iat: number
  /** When it expires, in seconds since the epoch. */
  exp: number
  /** When the user logged in, in seconds since the epoch. */
  auth_time: number
  /** `true` in bound sessions. */
  bound?: boolean
  /** The thumbprint of the DPoP key that the token is bound to. @see RFC 9449 §6.1 */
  cnf?: { jkt: string }
}

/** The claims of a verified access token. */
export interface AccessClaims extends Payload, OwnClaims {}

/** What a session's access token says, beside its times. */
export interface Subject {
  sub: string
  claims: Payload
  /** Whether the session is bound to a device. */
  bound: boolean
  /** The thumbprint of the DPoP key that the token itself is bound to. @default none */
  jkt?: string | undefined
}

export interface AccessTokens {
  /**
   * Signs the session's access token. `now` in ms since the epoch, `expiresIn` in seconds.
   * @see RFC 9068 §2
   */
  sign: (record: Created, subject: Subject, now: number) => { token: string, expiresIn: number }
  /**
   * Returns how many characters the token of such a session has; if it is sure to have no more than
   * `most`, an upper bound.
   */
  measure: (subject: Subject, most: number) => number
  /**
   * Returns the claims of an authentic token, expired or not: the caller's own copy. `undefined`
   * for any other text.
   */
  verify: (token: string) => AccessClaims | undefined
}

type Created = Pick<SessionRecord, 'sid' | 'createdAt' | 'deadline'>

/** What `createAccessTokens` needs of the settings. */
interface Settings {
  /** ms */
  lifetime: number
  clientId: string | undefined
}

/**
 * The longest access token that claims may make, in characters: it must fit into a request's
 * headers.
 */
export const longestAccessToken = 8192
/** What binding adds to the access tokens of a session, in characters. */
const roomForBinding = 256

/** Creates what signs and verifies access tokens. */
export function createAccessTokens (
  signers: Ring<Signer>, { lifetime, clientId }: Settings
): AccessTokens {
  // A verdict rests on the whole token and on keys that do not change, so it holds for as long as
  // the token lives.
  const verified = new VerifiedTokens<AccessClaims>()
  const rfc9068 = (): Payload => clientId === undefined
    ? {}
    : { client_id: clientId, jti: randomBytes(16).toString('base64url') }

  function sign (
    { sid, createdAt, deadline }: Created, { sub, claims, bound, jkt }: Subject, now: number
  ) {
    const iat = Math.floor(now / 1000)
    const exp = Math.min(iat + Math.floor(lifetime / 1000), Math.floor(deadline / 1000))
    const own = { sub, sid, iat, exp, auth_time: Math.floor(createdAt / 1000), ...rfc9068() }
    const binding = jkt === undefined ? { bound } : { bound, cnf: { jkt } }
    const token = signers[0].sign(bound ? { ...claims, ...own, ...binding } : { ...claims, ...own })
    return { token, expiresIn: exp - iat }
  }

  const lengthOf = (subject: Subject): number =>
    sign({ sid: '-'.repeat(22), createdAt: 1e12, deadline: 2e12 }, subject, 1e12).token.length
  const bare = lengthOf({ sub: '', claims: {}, bound: false })

  return {
    sign,
    measure: (subject, most) => {
      // Three bytes become four characters; only near the limit is it worth a signature to know
      // exactly.
      const bytes = Buffer.byteLength(JSON.stringify([subject.sub, subject.claims]))
      const atMost = bare + 4 * Math.ceil(bytes / 3)
      return atMost > most ? lengthOf(subject) : atMost
    },
    verify: (token) => {
      const known = verified.get(token)
      if (known !== undefined) return known
      if (token.length > longestAccessToken + roomForBinding) return undefined
      const claims = verify(signers, token)
      if (claims !== undefined) verified.set(token, claims)
      return verified.get(token)
    }
  }
}

function verify (signers: Ring<Signer>, token: string): AccessClaims | undefined {
  try {
    const claims = signerOf(signers, token)?.verify(token)
    return claims !== undefined && isAccessClaims(claims) ? claims : undefined
  } catch {
    return undefined
  }
}

function isAccessClaims (claims: Payload): claims is AccessClaims {
  return typeof claims.sub === 'string' && typeof claims.sid === 'string' &&
    Number.isFinite(claims.iat) && Number.isFinite(claims.exp) && Number.isFinite(claims.auth_time)
}
