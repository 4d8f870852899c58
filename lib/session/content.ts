import { hash } from 'node:crypto'
import type { SessionRecord } from '../store/store'
import type { Transport } from './session'

/**
 * What a session is, apart from its times: fixed at login, except what an update or a refresh
 * renews.
 */
export interface Content {
  sub: string
  /** Claims other than `sub`. */
  claims: Record<string, unknown>
  device: string | null
  /** Plain JSON of the application that stays in the store; `undefined`: none. */
  data: unknown
  transport: Transport
  /** `false`: the cookie goes when the browser closes. */
  remember: boolean
  /** Whether the session is bound by DPoP: its refresh tokens carry the thumbprint. */
  dpop: boolean
}

/**
 * Returns the tag of a user: 15 bytes, as 20 characters of base64url, that lead to the hash slot of
 * all their sessions.
 */
export function userTagOf (sub: string): string {
  // As JSON: in UTF-8 all lone surrogates would become one character, and their users one user.
  const text = `fastify-jwt-sessions user ${JSON.stringify(sub)}`
  return hash('sha256', text, 'base64url').slice(0, 20)
}

const flag = { body: 1, forget: 2, dpop: 4 }

// Lines, for few bytes: flags and sub; device; claims and data, where there are any. Escaped as in
// JSON, none of them can contain the end of a line.
const escape = (text: string): string => JSON.stringify(text).slice(1, -1)
const unescape = (text: string): string => JSON.parse(`"${text}"`) as string

/** Packs a session's content into the text that the store keeps. */
export function packContent (content: Content): string {
  const { sub, device, claims, data, transport, remember, dpop } = content
  const flags =
    (transport === 'body' ? flag.body : 0) + (remember ? 0 : flag.forget) + (dpop ? flag.dpop : 0)
  const lines = [`${flags}${escape(sub)}`, escape(device ?? '')]
  const packed = JSON.stringify(claims)
  if (packed !== '{}' || data !== undefined) lines.push(packed)
  if (data !== undefined) lines.push(JSON.stringify(data))
  return lines.join('\n')
}

const unreadable: Content = {
  sub: '',
  claims: {},
  device: null,
  data: undefined,
  transport: 'cookie',
  remember: true,
  dpop: false
}

/**
 * Reads the content that a store keeps. What `packContent` cannot have written has no `sub`, which
 * no session is without: it can be listed and ended like any other, and no token is answered by it.
 */
export function readContent (record: Pick<SessionRecord, 'content'>): Content {
  const [first = '', device = '', claims, data] = record.content.split('\n')
  const flags = Number(first[0])
  try {
    return {
      sub: unescape(first.slice(1)),
      device: device === '' ? null : unescape(device),
      claims: claims === undefined ? {} : JSON.parse(claims) as Record<string, unknown>,
      data: data === undefined ? undefined : JSON.parse(data),
      transport: (flags & flag.body) === 0 ? 'cookie' : 'body',
      remember: (flags & flag.forget) === 0,
      dpop: (flags & flag.dpop) !== 0
    }
  } catch {
    return unreadable
  }
}
