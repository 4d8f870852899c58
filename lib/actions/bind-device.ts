import type { FastifyRequest } from 'fastify'
import type { DeviceBinding } from '../binding/dbsc/binding'
import type { Instructions } from '../binding/dbsc/instructions'
import { toIdentifier } from '../binding/dbsc/session-identifier'
import { shortThumbprint } from '../binding/jwk'
import { RefreshTokenUnprovenError, refuse, type Refusal } from '../errors'
import type { Credentials } from '../http/credentials'
import { checkOrigin } from '../http/cross-origin'
import { readContent } from '../session/content'
import { aboutSession } from '../session/endings'
import type { Services } from '../services'
import type { RefreshToken } from '../tokens/refresh-token'
import { isOfUser, refuseUnknown } from './presentation'
import { findLiving, newestOfEach } from './refresh-candidates'

/** What a browser is told that has bound a session. */
export interface Bound {
  readonly instructions: Instructions
  /** `Secure-Session-Challenge`, for its first proof. */
  readonly challenge: string
}

const anotherKey = (): Refusal => refuse(RefreshTokenUnprovenError, 'bound to another key')

/** Creates what binds a session to the key of a device, by the challenge of its login, for good. */
export function createBindDevice (services: Services, binding: DeviceBinding) {
  const { store, emit, isTrusted } = services
  const { protocol, instruct } = binding

  /**
   * Binds the session of a login to the key that `response` (`Secure-Session-Response`) holds. The
   * same key once more is fine: browsers repeat a request whose connection breaks.
   * @throws REFRESH_TOKEN_*, CROSS_ORIGIN_REQUEST, STORE_UNAVAILABLE; the session stays as it was
   */
  return async function bindDevice (
    credentials: Credentials, request: FastifyRequest, response: unknown
  ): Promise<Bound> {
    checkOrigin(request, isTrusted)
    const tokens = newestOfEach(findLiving(services, credentials))
    const session = protocol.register(response, tokens.map(({ sid }) => sid), store.now())
    if ('reason' in session) throw refuse(RefreshTokenUnprovenError, session.reason)
    const token = tokens.find(({ sid }) => sid === session.sid) as RefreshToken
    const key = shortThumbprint(session.jwk)
    if (token.boundTo !== undefined && token.boundTo !== key) throw anotherKey()
    const before = await store.bind(token.userTag, { sid: session.sid, boundTo: key })
    if (before === undefined || !isOfUser(readContent(before), token)) {
      throw refuseUnknown(services, token)
    }
    if (before.boundTo === undefined) emit('bind', aboutSession(before))
    else if (before.boundTo !== key) throw anotherKey()
    return {
      instructions: instruct(toIdentifier(session)),
      challenge: protocol.challenge(session, store.now())
    }
  }
}
