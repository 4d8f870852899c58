import type { SessionRecord } from '../store/store'
import type { SessionClaims } from './claims-types'
import { readContent } from './content'

/** How a refresh token travels. */
export type Transport = 'cookie' | 'body'

/** One login; others call it a token family. Times in ms since the epoch, by the store's clock. */
export interface Session {
  /** The public id of the session. */
  sid: string
  /** The user. */
  sub: string
  /** The claims of its access tokens, `sub` among them. */
  claims: SessionClaims
  /** The label that the login gave, or `null`. */
  device: string | null
  /** What the login or an update has put aside, or `null`. */
  data: unknown
  /** How its refresh token travels. */
  transport: Transport
  /** By which kind of proof the session is bound to its device; `null`: unbound. */
  bound: 'dbsc' | 'dpop' | null
  /** The number of its current refresh token, from 1. */
  generation: number
  /** When the user logged in. */
  createdAt: number
  /** When its current refresh token was handed out. */
  refreshedAt: number
  /** When it ends unless it is refreshed before. */
  expiresAt: number
  /** Its absolute end, which nothing extends. */
  deadline: number
}

/** Returns the session that a record holds, as users see it. */
export function toSession (record: SessionRecord): Session {
  const { sub, device, claims, data = null, transport, dpop } = readContent(record)
  const { sid, generation, createdAt, refreshedAt, expiresAt, deadline, boundTo } = record
  return {
    sid,
    sub,
    claims: { sub, ...claims } as SessionClaims,
    device,
    data,
    transport,
    bound: dpop ? 'dpop' : boundTo === undefined ? null : 'dbsc',
    generation,
    createdAt,
    refreshedAt,
    expiresAt,
    deadline
  }
}
