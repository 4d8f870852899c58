import { LRUCache } from 'lru-cache'
import { AccessTokenExpiredError, AccessTokenInvalidError, AccessTokenMissingError, refuse } from '../errors'
import { signerOf, type Payload, type Signers } from './signers'
import type { Settings } from '../settings'
import type { Content } from '../session/session'
import type { SessionRecord } from '../store/store'

/** The claims of a verified access token, frozen: many requests share them. */
export interface AccessClaims extends Payload {
  readonly sub: string
  readonly sid: string
  /** seconds */
  readonly iat: number
  /** seconds */
  readonly exp: number
  /** seconds */
  readonly auth_time: number
}

export interface AccessTokens {
  /** Signs the session's access token. `now` in ms; `expiresIn` in seconds. @see RFC 9068 §2 */
  sign: (record: SessionRecord, content: Content, now: number) => { token: string, expiresIn: number }
  /** The length of the token of a session with this content, in characters; at most that where it is sure to fit. `text` is the content as it is packed. */
  measure: (content: Pick<Content, 'sub' | 'extra'>, text: string) => number
  /** The claims of a token of ours that lives. @throws ACCESS_TOKEN_INVALID, ACCESS_TOKEN_EXPIRED */
  verify: (token: string) => AccessClaims
  /** The claims of a token of ours, expired or not; `undefined` where it is none. */
  recognise: (token: string) => AccessClaims | undefined
}

/** The longest access token that fits into a request's headers, in characters. */
export const longestAccessToken = 8192

const challenge = 'Bearer error="invalid_token", error_description='
const mostBytes = 32 * 1024 * 1024

/** Signs and verifies access tokens. `now` tells the time in ms, by the store's clock where it is known. */
export function createAccessTokens (signers: Signers, { accessToken: { lifetime } }: Settings, now: () => number): AccessTokens {
  // A verdict rests on the whole token and on keys that do not change, so it holds for as long as the token lives.
  // Bounded in bytes alone, which bounds their number as well: room for a number would be taken at the start.
  const verified = new LRUCache<string, AccessClaims>({ maxSize: mostBytes, sizeCalculation: (_claims, token) => token.length * 3 })

  function recognise (token: string): AccessClaims | undefined {
    const known = verified.get(token)
    if (known !== undefined) return known
    const claims = token.length > longestAccessToken ? undefined : verify(signers, token)
    if (claims !== undefined) verified.set(token, claims)
    return claims
  }

  function sign ({ sid, createdAt, deadline }: Pick<SessionRecord, 'sid' | 'createdAt' | 'deadline'>, { sub, extra }: Pick<Content, 'sub' | 'extra'>, now: number) {
    const iat = Math.floor(now / 1000)
    const exp = Math.min(iat + Math.floor(lifetime / 1000), Math.floor(deadline / 1000))
    const claims = { ...extra, sub, sid, iat, exp, auth_time: Math.floor(createdAt / 1000) }
    return { token: signers[0].sign(claims), expiresIn: exp - iat }
  }

  const lengthOf = (content: Pick<Content, 'sub' | 'extra'>) => sign({ sid: '-'.repeat(22), createdAt: 1e12, deadline: 2e12 }, content, 1e12).token.length
  const bare = lengthOf({ sub: '', extra: {} })

  return {
    recognise,
    sign,
    measure: (content, text) => {
      // Three bytes become four characters; only near the limit is it worth a signature to know exactly.
      const atMost = bare + 4 * Math.ceil(Buffer.byteLength(text) / 3)
      return atMost > longestAccessToken ? lengthOf(content) : atMost
    },
    verify: (token) => {
      const claims = recognise(token)
      if (claims === undefined) throw invalidAccessToken('not an access token of ours')
      if (claims.exp * 1000 <= now()) {
        throw refuse(AccessTokenExpiredError, 'its exp has passed', { 'www-authenticate': `${challenge}"The access token expired"` })
      }
      return claims
    }
  }
}

function verify (signers: Signers, token: string): AccessClaims | undefined {
  try {
    const claims = signerOf(signers, token)?.verify(token)
    return claims !== undefined && isAccessClaims(claims) ? freeze(claims) : undefined
  } catch {
    return undefined
  }
}

function isAccessClaims (claims: Payload): claims is AccessClaims {
  return typeof claims.sub === 'string' && typeof claims.sid === 'string' &&
    Number.isFinite(claims.iat) && Number.isFinite(claims.exp) && Number.isFinite(claims.auth_time)
}

function freeze<T> (value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) freeze(member)
  }
  return value
}

/** Anything that is wrong with an access token but its time. @see RFC 6750 §3.1 */
export function invalidAccessToken (reason: string): Error {
  return refuse(AccessTokenInvalidError, reason, { 'www-authenticate': `${challenge}"The access token is invalid"` })
}

/** The token of an Authorization header. @throws ACCESS_TOKEN_MISSING, ACCESS_TOKEN_INVALID @see RFC 6750 §2.1 */
export function readBearer (header: string | undefined): string {
  if (header === undefined || !/^bearer(?:[ \t]|$)/i.test(header)) {
    throw refuse(AccessTokenMissingError, 'no Bearer token', { 'www-authenticate': 'Bearer' })
  }
  const token = header.slice('bearer'.length).trim()
  if (token === '' || token.includes(' ') || token.includes('\t')) throw invalidAccessToken('a malformed Authorization header')
  return token
}
