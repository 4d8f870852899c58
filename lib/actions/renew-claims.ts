import type { FastifyRequest } from 'fastify'
import { InvalidClaimsError, SessionRevokedError, refuse, type Refusal } from '../errors'
import type { Credentials } from '../http/credentials'
import { callHook, readClaims, type Complain } from '../session/claims'
import { packContent, readContent } from '../session/content'
import { toSession } from '../session/session'
import type { Services } from '../services'
import type { Presentation, SessionRecord } from '../store/store'
import type { RefreshToken } from '../tokens/refresh-token'
import { checkSize } from './check-size'
import { isOfUser, refuseUnknown } from './presentation'
import { refuseUnproven } from './unproven'

/** The content to write with the rotation; `undefined` keeps the present one. */
type Renewed = string | undefined | Refusal

const invalid: Complain = (sentence) => new InvalidClaimsError(`the claims hook: ${sentence}`)

/**
 * Creates what asks the `claims` hook before a rotation is written: once per session and process at
 * a time.
 */
export function createRenewClaims (services: Services) {
  const { settings, store, endings } = services
  const inFlight = new Map<string, Promise<Renewed>>()

  /**
   * Resolves with the content to write, or with what the token is refused for.
   * @throws what the hook throws, as a 5xx
   */
  return async function renewClaims (
    token: RefreshToken,
    { boundTo, proof }: Presentation,
    credentials: Credentials,
    request: FastifyRequest
  ): Promise<Renewed> {
    const record = await store.find(token.userTag, token.sid)
    if (record === undefined || !isOfUser(readContent(record), token)) {
      return refuseUnknown(services, token)
    }
    const needed = record.boundTo ?? boundTo
    if (needed !== undefined && needed !== proof) {
      const distance = Math.abs(token.generation - record.generation)
      return refuseUnproven(services, { session: record, distance }, credentials)
    }
    // A repeat and a reuse write no claims.
    if (token.generation < record.generation) return undefined
    const known = inFlight.get(token.sid)
    if (known !== undefined) return await known
    const renewal = ask(record, token, request).finally(() => {
      inFlight.delete(token.sid)
    })
    inFlight.set(token.sid, renewal)
    return await renewal
  }

  async function ask (
    record: SessionRecord,
    { userTag, sid }: RefreshToken,
    request: FastifyRequest
  ): Promise<Renewed> {
    const given = await callHook(async () => await settings.claims?.(toSession(record), request))
    if (given === null) {
      const ended = await store.end(userTag, sid)
      await endings.conclude([{ event: 'deny', userTag, sid, record: ended }])
      return refuse(SessionRevokedError, 'the claims hook denied the refresh')
    }
    const content = { ...readContent(record), claims: readClaims(given, invalid).claims }
    checkSize(services, content, invalid)
    return packContent(content)
  }
}
