import type { FastifyRequest } from 'fastify'
import { InvalidLoginError, type Refusal } from '../errors'
import { checkOrigin, isUnsafe } from '../http/cross-origin'
import type { Duration } from '../options/duration'
import { toMilliseconds } from '../options/duration'
import { describe, isObject } from '../options/schema'
import { isJson, readClaims, type Complain } from '../session/claims'
import { packContent, userTagOf, type Content } from '../session/content'
import { aboutSession, type Ending } from '../session/endings'
import type { Claims, Transport } from '../session/session'
import type { Services } from '../services'
import { longestAccessToken } from '../tokens/access-token'
import { createSessionKey, sidOf, type RefreshToken } from '../tokens/refresh-token'
import { issue, subjectOf, type Issued } from './issue'
import { longestCookie, tooLong } from './token-cookies'

/** What a login may say beside the claims. */
export interface LoginOptions {
  /** How the refresh token is to travel. @default the first of `refreshToken.transports` */
  transport?: Transport
  /** A label that tells the user's devices apart; cut at 255 characters. @default none */
  device?: string
  /** `false`: the cookie goes when the browser closes. @default true */
  remember?: boolean
  /** Of this session, in seconds or as `'30m'`; at most the plugin's. @default the plugin's */
  idleLifetime?: Duration
  /** Of this session, in seconds or as `'12h'`; at most the plugin's. @default the plugin's */
  absoluteLifetime?: Duration
  /** Plain JSON of at most 1 KiB that stays in the store, for `Session.data`. @default none */
  data?: unknown
  /**
   * `true`: the login is refused if it brings no DPoP proof; needs `'dpop'` in
   * `refreshToken.bindings`. @default false: without a proof the session is unbound
   */
  bound?: boolean
  /**
   * Ends the session whose refresh cookie the request brings and this login's cookie overwrites.
   * @default true
   */
  replace?: boolean
}

/** The claims of a login: those of the access tokens, `sub` among them. */
export type LoginClaims = Claims & { sub: string }

const longestDevice = 255
const longestData = 1024
const invalid: Complain = (sentence) => new InvalidLoginError(`reply.login: ${sentence}`)

/** A login that has been checked. Lifetimes in ms; `undefined`: the plugin's. */
interface Checked {
  content: Content
  idleLifetime: number | undefined
  absoluteLifetime: number | undefined
  replace: boolean
  bound: boolean
}

/** What a login issues. */
export interface LoggedIn extends Issued {
  /** `Secure-Session-Registration`: the offer to bind the session; `undefined`: none. */
  readonly registration: string | undefined
}

/** Creates what `reply.login` and `fastify.sessions.open` do. */
export function createLogin (services: Services) {
  const { settings, refreshTokens, store, endings, emit } = services

  /**
   * Opens a session for `claims.sub`.
   * @throws INVALID_LOGIN, CROSS_ORIGIN_REQUEST, DPOP_*, STORE_UNAVAILABLE
   */
  return async function login (
    claims: unknown, options: unknown = {}, request?: FastifyRequest
  ): Promise<LoggedIn> {
    const { content, replace, bound, ...lifetimes } = check(services, claims, options)
    // A plain form of a foreign page could log its visitor in as somebody else.
    if (isInCookies(services, content) && request !== undefined && isUnsafe(request)) {
      checkOrigin(request, services.isTrusted)
    }
    const jkt = findKey(services, bound, request)
    content.dpop = jkt !== undefined
    checkSize(services, content, invalid)
    const key = createSessionKey()
    const userTag = userTagOf(content.sub)
    const { transport } = content
    const old = replace && transport === 'cookie' ? findOverwritten(services, request) : undefined
    const { idleLifetime = settings.refreshToken.idleLifetime } = lifetimes
    const { session, ended } = await store.create(userTag, {
      sid: sidOf(key),
      signer: refreshTokens.signer,
      content: packContent(content),
      idleLifetime,
      absoluteLifetime: lifetimes.absoluteLifetime ?? settings.refreshToken.absoluteLifetime,
      maxSessions: settings.maxSessions,
      replaces: old?.userTag === userTag ? old.sid : undefined
    })
    emit('login', aboutSession(session))
    const over: Ending[] = ended.map((record) =>
      ({ event: record.sid === old?.sid ? 'logout' : 'revoke', userTag, sid: record.sid, record }))
    if (old !== undefined && old.userTag !== userTag) over.push(...await endOther(services, old))
    await endings.conclude(over)
    const lineage = { key, userTag, transport, idleLifetime: lifetimes.idleLifetime, jkt }
    const issued = issue(services, session, content, lineage, { generation: 1, at: 0 })
    return { ...issued, registration: request && offerBinding(services, issued, content) }
  }
}

/**
 * Returns the thumbprint of the DPoP key that a login proves; `undefined`: it brings no proof.
 * @throws DPOP_PROOF_INVALID, DPOP_NONCE_REQUIRED; if it must be bound, DPOP_PROOF_MISSING
 * @see RFC 9449 §5
 */
function findKey (
  { dpop, settings }: Services, bound: boolean, request: FastifyRequest | undefined
): string | undefined {
  if (!settings.refreshToken.bindings.includes('dpop')) {
    if (bound) throw invalid("bound is true; that needs 'dpop' in refreshToken.bindings")
    return undefined
  }
  if (request === undefined) {
    if (bound) throw invalid('bound is true, and no request could bring a proof')
    return undefined
  }
  if (request.headers.dpop === undefined && !bound) return undefined
  return dpop.read(request).jkt
}

// A session that is bound by DPoP is bound already.
function offerBinding (
  { deviceBinding, store }: Services, { sid }: Issued, { transport, dpop }: Content
): string | undefined {
  if (transport !== 'cookie' || dpop) return undefined
  return deviceBinding?.protocol.offer(sid, store.now())
}

// The session of another user, which this login's cookie overwrites. The login stands, whatever
// becomes of it.
async function endOther (
  { store, log }: Services, { userTag, sid }: RefreshToken
): Promise<Ending[]> {
  const record = await store.end(userTag, sid).catch((error: Refusal) => {
    log.warn({ sid, reason: error.reason }, 'a session that a login overwrites could not be ended')
    return undefined
  })
  return record === undefined ? [] : [{ event: 'logout', userTag, sid, record }]
}

function findOverwritten (
  services: Services, request: FastifyRequest | undefined
): RefreshToken | undefined {
  const texts = request === undefined ? [] : services.refreshCookie.read(request.headers.cookie)
  const tokens = texts.flatMap((text) => services.refreshTokens.verify(text) ?? [])
  return tokens.filter(({ transport }) => transport === 'cookie').sort((a, b) => b.exp - a.exp)[0]
}

const names =
  'transport, device, remember, idleLifetime, absoluteLifetime, data, bound and replace'

function check ({ settings }: Services, givenClaims: unknown, options: unknown): Checked {
  const { idleLifetime, absoluteLifetime, transports } = settings.refreshToken
  const { sub, claims } = readClaims(givenClaims, invalid)
  if (typeof sub !== 'string' || sub === '') {
    throw invalid(`claims.sub is ${describe(sub)}; it must be a non-empty string`)
  }
  if (!isObject(options)) throw invalid(`options are ${describe(options)}; they must be an object`)
  const { transport = transports[0], device, data, ...flags } = options
  const { remember = true, bound = false, replace = true, ...others } = flags
  const { idleLifetime: idle, absoluteLifetime: absolute, ...unknown } = others
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw invalid(`the option ${name} is unknown; there are ${names}`)
  if (!transports.includes(transport as Transport)) {
    throw invalid(`the transport ${describe(transport)} is not on; ` +
      `refreshToken.transports is ${describe(transports)}`)
  }
  for (const [name, given] of Object.entries({ remember, bound, replace })) {
    if (typeof given === 'boolean') continue
    throw invalid(`${name} is ${describe(given)}; it must be true or false`)
  }
  if (device !== undefined && device !== null && typeof device !== 'string') {
    throw invalid(`device is ${describe(device)}; it must be a string`)
  }
  const content: Content = {
    sub,
    claims,
    device: device?.slice(0, longestDevice) ?? null,
    data: checkData(data, invalid),
    transport: transport as Transport,
    remember: remember as boolean,
    dpop: false
  }
  return {
    content,
    idleLifetime: checkLifetime('idleLifetime', idle, idleLifetime),
    absoluteLifetime: checkLifetime('absoluteLifetime', absolute, absoluteLifetime),
    replace: replace as boolean,
    bound: bound as boolean
  }
}

function checkLifetime (name: string, given: unknown, most: number): number | undefined {
  if (given === undefined) return undefined
  const ms = toMilliseconds(given)
  if (ms !== undefined && ms >= 1000 && ms <= most) return ms
  throw invalid(`${name} is ${describe(given)}; ` +
    `it must be a duration from one second to the plugin's ${most / 1000} s`)
}

/** Checks what an application puts aside with a session. @throws what `complain` creates */
export function checkData (data: unknown, complain: Complain): unknown {
  if (data === undefined) return undefined
  if (!isJson(data)) throw complain('data must be plain JSON')
  const bytes = Buffer.byteLength(JSON.stringify(data))
  if (bytes > longestData) {
    throw complain(`data has ${bytes} bytes as JSON; ${longestData} are the most`)
  }
  return data
}

// Whether both tokens of a session travel in cookies.
const isInCookies = ({ settings }: Services, { transport }: Content): boolean =>
  settings.accessCookie !== undefined && transport === 'cookie'

/**
 * Refuses claims whose access token no server would accept in a header, or no browser in a cookie.
 * @throws what `complain` creates
 */
export function checkSize (services: Services, content: Content, complain: Complain): void {
  const { accessTokens, settings } = services
  const name = isInCookies(services, content) ? settings.accessCookie?.name : undefined
  const most = name === undefined ? longestAccessToken : longestCookie - name.length
  const length = accessTokens.measure(subjectOf(content), most)
  if (length <= most) return
  if (name !== undefined) throw complain(tooLong(name.length + length))
  throw complain(`these claims make an access token of ${length} characters; ` +
    `${longestAccessToken} are the most that fit into a header`)
}
