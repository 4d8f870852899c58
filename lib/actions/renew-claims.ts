import type { FastifyRequest } from 'fastify'
import { InvalidClaimsError, SessionRevokedError, refuse, type Refusal } from '../errors'
import type { Credentials } from '../http/credentials'
import { callHook, readClaims, type Complain } from '../session/claims'
import { readContent } from '../session/content'
import type { Ending, Over } from '../session/endings'
import { toSession } from '../session/session'
import type { Services } from '../services'
import type { Presentation, SessionRecord } from '../store/store'
import { createTimeout } from '../store/timeout'
import type { RefreshToken } from '../tokens/refresh-token'
import { checkSize } from './check-size'
import { isOfUser, refuseUnknown } from './presentation'
import type { Renewed } from './renewed-content'
import { refuseUnproven } from './unproven'

/** What the hook's answer comes to. */
interface Answer {
  readonly renewed: Renewed | Refusal
  /** The session that the hook has ended by it. */
  readonly denied?: Ending
}

const invalid: Complain = (sentence) => new InvalidClaimsError(`the claims hook: ${sentence}`)

/**
 * How long a question to the hook is shared, in ms: one that is never answered must not keep its
 * session from asking again.
 */
const sharedFor = 2_000

/**
 * Creates what asks the `claims` hook before a rotation is written: once per session and process at
 * a time.
 */
export function createRenewClaims (services: Services) {
  const { settings, store } = services
  const inFlight = new Map<string, Promise<Answer>>()

  /**
   * Resolves with the hook's answer, or with what the token is refused for; with `undefined` if
   * nothing is to be written. A session that is denied has ended, and joins `over`.
   * @throws what the hook throws, as a 5xx
   */
  return async function renewClaims (
    token: RefreshToken,
    { boundTo, proof }: Presentation,
    credentials: Credentials,
    request: FastifyRequest,
    over: Over
  ): Promise<Renewed | Refusal | undefined> {
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
    const { renewed, denied } = await (known ?? share(token.sid, ask(record, token, request)))
    // It has ended once, however many share the answer.
    if (denied !== undefined && known === undefined) over.add([denied])
    return renewed
  }

  async function share (sid: string, asking: Promise<Answer>): Promise<Answer> {
    inFlight.set(sid, asking)
    const forget = (): void => { if (inFlight.get(sid) === asking) inFlight.delete(sid) }
    const stop = createTimeout(sharedFor, forget)
    return await asking.finally(() => {
      stop()
      forget()
    })
  }

  async function ask (
    record: SessionRecord,
    { userTag, sid }: RefreshToken,
    request: FastifyRequest
  ): Promise<Answer> {
    const given = await callHook(async () => await settings.claims?.(toSession(record), request))
    if (given === null) {
      return {
        denied: { event: 'deny', userTag, sid, record: await store.end(userTag, sid) },
        renewed: refuse(SessionRevokedError, 'the claims hook denied the refresh')
      }
    }
    const { claims } = readClaims(given, invalid)
    checkSize(services, { ...readContent(record), claims }, invalid)
    return { renewed: { shown: record, claims } }
  }
}
