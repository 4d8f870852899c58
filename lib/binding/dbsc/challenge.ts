import { createTimedTokens, type DeviceSecrets } from './timed-token'

const minute = 60_000

/** What a device signs to prove itself. It names its session, and is kept nowhere. */
export interface Challenges {
  /** Returns a challenge for the device of this session; `now` in ms. */
  create: (sid: string, now: number) => string
  /** Returns the session that a challenge is for; `undefined` if it is not ours, or too old. */
  verify: (text: string, now: number) => string | undefined
}

/** Creates the challenges of logins, good for five minutes: no other one registers a key. */
export const createRegistrationChallenges = (secrets: DeviceSecrets): Challenges =>
  createChallenges(secrets, 'dbsc-registration+jwt', 5 * minute)

/**
 * Creates the challenges of bound sessions, good for ten minutes: a browser signs six times in nine
 * minutes at most, and repeats its signature of the same challenge for free.
 */
export const createProofChallenges = (secrets: DeviceSecrets): Challenges =>
  createChallenges(secrets, 'dbsc-challenge+jwt', 10 * minute)

function createChallenges (secrets: DeviceSecrets, typ: string, lifetime: number): Challenges {
  const { sign, verify } = createTimedTokens(secrets, typ, lifetime)
  return {
    create: (sid, now) => sign({ sid }, now),
    verify: (text, now) => verify(text, now)?.sid as string | undefined
  }
}
