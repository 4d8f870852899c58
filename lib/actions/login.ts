import type { FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'
import { createBrowserHints } from '../http/browser-hints'
import { checkOrigin, isUnsafe } from '../http/cross-origin'
import type { Complain } from '../session/claims'
import { packContent, userTagOf, type Content } from '../session/content'
import { aboutSession, type Ending } from '../session/endings'
import type { Services } from '../services'
import { createSessionKey, sidOf, type RefreshToken } from '../tokens/refresh-token'
import { checkLogin, complainOf } from './check-login'
import { checkSize, isInCookies } from './check-size'
import { issue, type Issued } from './issue'

/** What a login issues. */
export interface LoggedIn extends Issued {
  /** `Secure-Session-Registration`: the offer to bind the session; `undefined`: none. */
  readonly registration: string | undefined
}

const invalidReplyLogin = complainOf('reply.login')
const invalidOpen = complainOf('fastify.sessions.open')

/** What `createLogin` creates. */
export type Login = ReturnType<typeof createLogin>

/** Creates what `reply.login` and `fastify.sessions.open` do. */
export function createLogin (services: Services) {
  const { settings, refreshTokens, store, endings, emit } = services
  const hint = createBrowserHints(settings.refreshCookie, services.log)

  /**
   * Opens a session for `claims.sub`.
   * @throws INVALID_LOGIN, CROSS_ORIGIN_REQUEST, DPOP_*, STORE_UNAVAILABLE
   */
  return async function login (
    claims: unknown, options: unknown = {}, request?: FastifyRequest
  ): Promise<LoggedIn> {
    const invalidLogin = request === undefined ? invalidOpen : invalidReplyLogin
    const { content, replace, bound, ...lifetimes } =
      checkLogin(services, claims, options, invalidLogin)
    // A plain form of a foreign page could log its visitor in as somebody else.
    if (isInCookies(services, content) && request !== undefined && isUnsafe(request)) {
      checkOrigin(request, services.isTrusted)
    }
    const jkt = findKey(services, bound, request, invalidLogin)
    content.dpop = jkt !== undefined
    checkSize(services, content, invalidLogin)
    const key = createSessionKey()
    const userTag = userTagOf(content.sub)
    const { transport } = content
    if (transport === 'cookie' && request !== undefined) hint(request)
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
    const over = endings.gather()
    over.add(ended.map((record) =>
      ({ event: record.sid === old?.sid ? 'logout' : 'revoke', userTag, sid: record.sid, record })))
    if (old !== undefined && old.userTag !== userTag) over.add(await endOther(services, old))
    await over.confirm()
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
  { dpop, settings }: Services, bound: boolean, request: FastifyRequest | undefined,
  invalidLogin: Complain
): string | undefined {
  if (!settings.refreshToken.bindings.includes('dpop')) {
    if (bound) throw invalidLogin("bound is true; that needs 'dpop' in refreshToken.bindings")
    return undefined
  }
  if (request === undefined) {
    if (bound) throw invalidLogin('bound is true, and no request could bring a proof')
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
