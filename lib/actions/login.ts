import type { FastifyReply } from 'fastify'
import { longestAccessToken } from '../tokens/access-token'
import { describe, isObject } from '../options/schema'
import { readClaims } from '../session/claims'
import type { Context } from '../services'
import { announceEnd } from '../session/endings'
import { InvalidLoginError } from '../errors'
import { emit } from '../events'
import { issue, type TokenResponse } from './issue'
import { createSessionKey, sidOf } from '../tokens/refresh-token'
import { contentOf, tagOf, toText, type Claims, type Content, type Transport } from '../session/session'

export interface LoginOptions {
  /** How the refresh token is to travel; one that `refreshToken.transports` names, by default its first. */
  transport?: Transport
  /** A label that tells the user's devices apart; cut at 255 characters. */
  device?: string
  /** `false`: the cookie goes when the browser closes. */
  remember?: boolean
}

export type LoginClaims = Claims & { sub: string }

/** Opens a session for `claims.sub`, and answers the token response to send. @throws INVALID_LOGIN, STORE_UNAVAILABLE */
export type Login = (claims: LoginClaims, options?: LoginOptions) => Promise<TokenResponse>

const longestDevice = 255
const invalid = (sentence: string) => new InvalidLoginError(`reply.login: ${sentence}`)

/** Makes what `reply.login` does. */
export function createLogin (context: Context) {
  const { settings, refreshTokens, ask } = context
  return async function login (reply: FastifyReply, claims: LoginClaims, options: LoginOptions = {}): Promise<TokenResponse> {
    const content = readLogin(claims, options, settings.refreshToken.transports)
    const text = toText(content)
    const key = createSessionKey()
    const sid = sidOf(key)
    checkSize(context, content, text, invalid)
    const tag = tagOf(content.sub)
    const { idleLifetime, absoluteLifetime } = settings.refreshToken
    const creation = { sid, text, signer: refreshTokens.signer, idleLifetime, absoluteLifetime, maxSessions: settings.maxSessions }
    const { session, ended } = await ask((store, within) => store.create(tag, creation, within))
    emit('login', { sid, sub: content.sub, generation: session.generation })
    for (const record of ended) announceEnd(context, 'revoke', record)
    return issue(context, reply, session, contentOf(session), { key, tag, via: content.transport })
  }
}

function readLogin (claims: unknown, options: unknown, transports: [Transport, ...Transport[]]): Content {
  const { sub, extra } = readClaims(claims, invalid)
  if (typeof sub !== 'string' || sub === '') throw invalid(`claims.sub is ${describe(sub)}; it must be a non-empty string`)
  if (!isObject(options)) throw invalid(`options are ${describe(options)}; they must be an object`)
  const { transport = transports[0], device, remember = true, ...unknown } = options
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw invalid(`the option ${name} is unknown; there are transport, device and remember`)
  if (!transports.includes(transport as Transport)) throw invalid(`the transport ${describe(transport)} is not on; refreshToken.transports is ${describe(transports)}`)
  if (typeof remember !== 'boolean') throw invalid(`remember is ${describe(remember)}; it must be true or false`)
  if (device !== undefined && device !== null && typeof device !== 'string') throw invalid(`device is ${describe(device)}; it must be a string`)
  return { sub, extra, transport: transport as Transport, remember, device: device?.slice(0, longestDevice) ?? null }
}

/** Refuses claims that would make an access token which no server accepts in a header. @throws what `complain` makes of it */
export function checkSize ({ accessTokens }: Pick<Context, 'accessTokens'>, content: Content, text: string, complain: (sentence: string) => Error): void {
  const length = accessTokens.measure(content, text)
  if (length > longestAccessToken) throw complain(`these claims make an access token of ${length} characters; ${longestAccessToken} are the most that fit into a header`)
}
