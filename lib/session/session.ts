import { hash } from 'node:crypto'
import type { FastifyJWT } from '@fastify/jwt'
import type { SessionRecord } from '../store/store'

/** How a refresh token travels. */
export type Transport = 'cookie' | 'body'

/** The application's claims, as it types them by augmenting `FastifyJWT['payload']` of @fastify/jwt. */
export type Claims = FastifyJWT extends { payload: infer T extends object } ? T : Record<string, unknown>

/** One login; others call it a token family. Times in ms since the epoch, by the store's clock. */
export interface Session {
  sid: string
  sub: string
  claims: Claims
  device: string | null
  transport: Transport
  /** The number of its current refresh token. */
  generation: number
  createdAt: number
  refreshedAt: number
  /** When it ends unless it is refreshed before. */
  expiresAt: number
  /** Its absolute end. */
  deadline: number
}

/** What a login fixes of a session, and a rotation may renew the claims of. */
export interface Content extends Pick<Session, 'sub' | 'device' | 'transport'> {
  remember: boolean
  /** Claims other than `sub`. */
  extra: Record<string, unknown>
}

const tagPurpose = Buffer.from('fastify-jwt-sessions user ')

/** The routing tag of a user: a pseudonym that leads to the hash slot of all their sessions. */
export function tagOf (sub: string): string {
  // As UTF-16: in UTF-8 all lone surrogates would become one character, and their users one user.
  return hash('sha256', Buffer.concat([tagPurpose, Buffer.from(sub, 'utf16le')]), 'base64url').slice(0, 22)
}

// Lines, for few bytes: flags and sub; device; claims, where there are any. Escaped as in JSON, none can contain a line's end.
const escape = (text: string) => JSON.stringify(text).slice(1, -1)
const unescape = (text: string) => JSON.parse(`"${text}"`) as string

/** Packs a session's content into the text that the store keeps. */
export function toText ({ sub, device, transport, remember, extra }: Content): string {
  const flags = (transport === 'body' ? 1 : 0) + (remember ? 0 : 2)
  const claims = JSON.stringify(extra)
  return `${flags}${escape(sub)}\n${escape(device ?? '')}${claims === '{}' ? '' : `\n${claims}`}`
}

/** Reads a record's text back. */
export function contentOf ({ text }: Pick<SessionRecord, 'text'>): Content {
  const [first = '', device = '', claims = ''] = text.split('\n')
  const flags = Number(first[0])
  return {
    sub: unescape(first.slice(1)),
    device: device === '' ? null : unescape(device),
    transport: (flags & 1) === 1 ? 'body' : 'cookie',
    remember: (flags & 2) === 0,
    extra: claims === '' ? {} : JSON.parse(claims) as Record<string, unknown>
  }
}

/** The session that a record holds, as users see it. */
export function toSession (record: SessionRecord): Session {
  const { sub, device, transport, extra } = contentOf(record)
  const { sid, generation, createdAt, refreshedAt, expiresAt, deadline } = record
  return { sid, sub, claims: { sub, ...extra } as Claims, device, transport, generation, createdAt, refreshedAt, expiresAt, deadline }
}
