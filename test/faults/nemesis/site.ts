import { createHash } from 'node:crypto'
import { peek } from '../../support/app'
import type { Device } from '../../support/proofs'
import { cookieName, over, type Answer } from '../user'
import type { Entry, Heard, Setting, Token, Verb } from './history'
import type { AppNode } from './nodes'

/** What a client holds of a session. */
export interface Held {
  user: string
  session: string
  token: Token
  access: string
  /** The key that the session is bound to. */
  device: Device | undefined
}

/** What a request of a client is. */
export interface Asked {
  verb: Verb
  user: string
  /** What it presents, or is about. */
  held?: Held | undefined
  /** The key that it proves. */
  device?: Device | undefined
  by?: Entry['by']
  /** In ms; a client that goes away sooner misses its answer. */
  patience?: number
  /** Another token than the one that it holds. */
  token?: Token
}

type Sent = [method: 'GET' | 'POST', path: string, body?: object]

const patience = 3_000

/** Reads a refresh token as a client can. */
const read = (text: string): Token => ({ text, generation: Number(peek(text).gen) })

/** One application on all its nodes, as clients see it; it writes down all that they ask. */
export class Site {
  readonly setting: Setting
  readonly entries: Entry[] = []
  readonly #nodes: readonly AppNode[]

  constructor (nodes: readonly AppNode[], setting: Setting) {
    this.#nodes = nodes
    this.setting = setting
  }

  /** Asks one node; resolves with the entry, and with what is held from now on. */
  async ask (node: number, asked: Asked): Promise<[Entry, Held | undefined]> {
    const { verb, user, held, device, by = 'owner' } = asked
    const [method, path, body] = sent(asked)
    const origin = this.#nodes[node]?.origins?.[this.setting.spentOn]
    const from = performance.now()
    const answer = origin === undefined
      ? undefined
      : await over(origin, asked.patience ?? patience)(
        method, path, headersOf(asked, `${origin}${path}`, method), body
      ).catch(() => undefined)
    const next = answer === undefined ? undefined : hold(answer, user, device)
    const isLogin = verb === 'login'
    const entry: Entry = {
      from,
      to: performance.now(),
      verb,
      user,
      session: isLogin ? next?.session ?? '' : held?.session ?? '',
      by,
      node,
      bound: (isLogin ? device : held?.device) !== undefined,
      proven: device !== undefined && (isLogin || device === held?.device),
      left: asked.patience !== undefined,
      ...presents(verb) ? { presented: asked.token ?? held?.token } : {},
      ...isLogin ? { replaces: held?.session } : {},
      heard: hear(answer, next)
    }
    // Of a node that is down there is nothing to be told.
    if (origin !== undefined) this.entries.push(entry)
    return [entry, next]
  }
}

const presents = (verb: Verb): boolean => verb === 'refresh' || verb === 'logoutAll'

function sent ({ verb, user, held }: Asked): Sent {
  switch (verb) {
    case 'login': return ['POST', `/login/${user}`]
    case 'refresh': return ['POST', '/auth/refresh']
    case 'guard': return ['GET', '/me']
    case 'live': return ['GET', '/live']
    case 'logout': return ['POST', '/auth/logout']
    case 'logoutAll': return ['POST', '/auth/logout', { all: true }]
    case 'revoke': return ['POST', `/revoke/${user}/${held?.session}`]
    case 'revokeAll': return ['POST', `/revoke-all/${user}`]
  }
}

function headersOf (
  { verb, held, device, token }: Asked, htu: string, htm: string
): Record<string, string> {
  const guarded = verb === 'guard' || verb === 'live'
  const iat = Math.floor(Date.now() / 1000)
  const ath = guarded ? createHash('sha256').update(held?.access ?? '').digest('base64url') : undefined
  const dpop: Record<string, string> =
    device === undefined ? {} : { dpop: device.prove({ htm, htu, iat, ath }) }
  if (!guarded) {
    const cookie = token ?? held?.token
    return cookie === undefined ? dpop : { cookie: `${cookieName}=${cookie.text}`, ...dpop }
  }
  return { authorization: `${device === undefined ? 'Bearer' : 'DPoP'} ${held?.access}`, ...dpop }
}

function hold (
  { status, token, body }: Answer, user: string, device: Device | undefined
): Held | undefined {
  if (status !== 200 || token === undefined) return undefined
  const access = String(body['access_token'])
  return { user, session: String(peek(access).sid), token: read(token), access, device }
}

function hear (answer: Answer | undefined, next: Held | undefined): Heard {
  if (answer === undefined) return { status: 'lost' }
  const { status, code, body } = answer
  const session = next?.session ?? (status === 200 ? body['sid'] as string | undefined : undefined)
  return { status, code, token: next?.token, session }
}
