import type { FastifyReply, FastifyRequest } from 'fastify'
import { readBearer } from '../tokens/access-token'
import type { Context } from '../services'
import { announceEnd } from '../session/endings'
import { tagOf } from '../session/session'
import { clearCookie, presented } from '../http/credentials'

export interface LogoutOptions {
  /** Ends all sessions of the user, not this one alone. */
  all?: boolean
}

interface Named {
  tag: string
  sid: string
}

/** Makes what `reply.logout` and `POST {prefix}/logout` do: the sessions that a request names end, its cookie goes; `false` where replicas have yet to confirm it. */
export function createLogout (context: Context) {
  const { settings, refreshTokens, accessTokens, ask, durability } = context

  return async function logout (request: FastifyRequest, reply: FastifyReply, { all = false }: LogoutOptions = {}): Promise<boolean> {
    let confirmed = true
    for (const { tag, sid } of nameSessions(request)) {
      // A token whose session is over has no say about the user's other sessions; a request that was let in has.
      const witness = request.sid === null ? sid : undefined
      const ended = all
        ? await ask((store, within) => store.endAll(tag, { witness }, within))
        : [await ask((store, within) => store.end(tag, sid, within)) ?? []].flat()
      for (const record of ended) {
        announceEnd(context, record.sid === sid ? 'logout' : 'revoke', record)
      }
      if (!await durability.confirm(tag, ended)) confirmed = false
    }
    // Only now: where the store could not be asked, nothing is cleared. A body's session has no cookie.
    if (presented(request, settings.refreshToken.transports, settings.cookie).via === 'cookie') clearCookie(reply, settings.cookie)
    return confirmed
  }

  function nameSessions (request: FastifyRequest): Named[] {
    if (request.sid !== null) return [{ sid: request.sid, tag: tagOf((request.user as { sub: string }).sub) }]
    const named = new Map<string, Named>()
    const { via, texts } = presented(request, settings.refreshToken.transports, settings.cookie)
    for (const text of texts) {
      const token = refreshTokens.recognise(text)
      if (token?.via === via) named.set(token.sid, token)
    }
    return named.size > 0 ? [...named.values()] : byAccessToken(request)
  }

  function byAccessToken (request: FastifyRequest): Named[] {
    try {
      const claims = accessTokens.recognise(readBearer(request.headers.authorization))
      return claims === undefined ? [] : [{ sid: claims.sid, tag: tagOf(claims.sub) }]
    } catch {
      return []
    }
  }
}
