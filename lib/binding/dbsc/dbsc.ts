import { algorithmOf, readJwk } from '../jwk'
import { isSignedBy } from '../jws'
import type { PublicKeys } from '../public-keys'
import { createProofChallenges, createRegistrationChallenges, type Challenges } from './challenge'
import { readResponse, type DeviceResponse } from './response'
import { toIdentifier, type BoundSession } from './session-identifier'
import type { DeviceSecrets } from './timed-token'

/** Why a device's response is refused; for the log only. */
export interface Refusal {
  readonly reason: string
}

/** The server's side of Device Bound Session Credentials, without HTTP and without a store. */
export interface Dbsc {
  /** Returns `Secure-Session-Registration` for the login of a session; `now` in ms. */
  offer: (sid: string, now: number) => string
  /** Returns `Secure-Session-Challenge` for a bound session; `now` in ms. */
  challenge: (session: BoundSession, now: number) => string
  /** Reads the `Secure-Session-Response` by which a browser registers a key for one of `sids`. */
  register: (response: unknown, sids: readonly string[], now: number) => BoundSession | Refusal
  /** Reads the `Secure-Session-Response` by which a browser proves its key. */
  prove: (response: unknown, session: BoundSession, now: number) => BoundSession | Refusal
}

const refused = (reason: string): Refusal => ({ reason })

/**
 * Creates the protocol for a device route at this absolute path. Expensive checks come last: a MAC
 * takes 2 µs, a signature 30 to 130.
 * @see https://w3c.github.io/webappsec-dbsc/
 */
export function createDbsc (secrets: DeviceSecrets, keys: PublicKeys, path: string): Dbsc {
  const registrations = createRegistrationChallenges(secrets)
  const challenges = createProofChallenges(secrets)

  function verify ({ jws, algorithm }: DeviceResponse, session: BoundSession) {
    if (algorithm !== algorithmOf(session.jwk)) return refused('signed by another kind of key')
    const key = keys.import(session.jwk)
    const good = key !== undefined && isSignedBy(jws, key, algorithm)
    return good ? session : refused('not signed by this key')
  }

  return {
    offer: (sid, now) =>
      `(ES256 RS256);path="${path}";challenge="${registrations.create(sid, now)}"`,
    challenge: (session, now) =>
      `"${challenges.create(session.sid, now)}";id="${toIdentifier(session)}"`,
    register: (header, sids, now) => {
      const read = readFor(header, registrations, sids, now)
      if ('reason' in read) return read
      const { response, sid } = read
      const jwk = readJwk(response.jws.header.jwk, response.algorithm)
      return jwk === undefined ? refused('no public key to accept') : verify(response, { sid, jwk })
    },
    prove: (header, session, now) => {
      const read = readFor(header, challenges, [session.sid], now)
      return 'reason' in read ? read : verify(read.response, session)
    }
  }
}

function readFor (header: unknown, challenges: Challenges, sids: readonly string[], now: number) {
  const response = readResponse(header)
  if (response === undefined) return refused('no Secure-Session-Response, or a malformed one')
  const sid = challenges.verify(response.challenge, now)
  if (sid === undefined) return refused('its challenge is forged, or too old')
  return sids.includes(sid) ? { response, sid } : refused('its challenge is for another session')
}
