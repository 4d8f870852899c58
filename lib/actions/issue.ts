import type { Content } from '../session/content'
import type { Transport } from '../session/session'
import type { Services } from '../services'
import type { HandedOut, SessionRecord } from '../store/store'
import type { Subject } from '../tokens/access-token'
import type { Lineage } from '../tokens/refresh-token'

/** The two tokens of a session, for whoever hands them out. */
export interface Issued {
  readonly sid: string
  readonly accessToken: string
  /** How the access token is presented. @see RFC 6749 §7.1, RFC 9449 §5 */
  readonly tokenType: 'Bearer' | 'DPoP'
  /** Of the access token, in seconds. */
  readonly expiresIn: number
  readonly refreshToken: string
  readonly transport: Transport
  /** How long the browser is to keep the refresh token, in ms; `undefined`: until it closes. */
  readonly keptFor: number | undefined
  /** `DPoP-Nonce`, for the next refresh of a bound session by body; `undefined`: none. */
  readonly nonce: string | undefined
}

/**
 * Issues both tokens of a session: an access token for now, and the refresh token that the store
 * says is next.
 */
export function issue (
  { accessTokens, dpop, refreshTokens, settings, store }: Services,
  record: SessionRecord,
  content: Content,
  lineage: Lineage,
  next: HandedOut
): Issued {
  const now = store.now()
  const { transport } = lineage
  const subject = subjectOf(content, record.boundTo)
  const jkt = settings.accessToken.bound ? lineage.jkt : undefined
  const { token, expiresIn } =
    accessTokens.sign(record, jkt === undefined ? subject : { ...subject, jkt }, now)
  return {
    sid: record.sid,
    accessToken: token,
    tokenType: jkt === undefined ? 'Bearer' : 'DPoP',
    expiresIn,
    refreshToken: refreshTokens.sign(lineage, record, next),
    transport,
    keptFor: content.remember ? record.expiresAt - now : undefined,
    nonce: lineage.jkt !== undefined && transport === 'body' ? dpop.nonce() : undefined
  }
}

/** Returns what the access tokens of a session say. */
export const subjectOf = ({ sub, claims, dpop }: Content, boundTo?: string): Subject =>
  ({ sub, claims, bound: dpop || boundTo !== undefined })
