import { InvalidLoginError } from '../errors'
import { toMilliseconds, type Duration } from '../options/duration'
import { describe, isObject } from '../options/schema'
import { readClaims, type Complain } from '../session/claims'
import type { Content } from '../session/content'
import type { SessionClaims } from '../session/claims-types'
import type { Transport } from '../session/session'
import type { Services } from '../services'
import { checkData } from './check-data'
import { checkDevice } from './check-device'

/** What a login may say beside the claims. */
export interface LoginOptions {
  /** How the refresh token is to travel. @default the first of `refreshToken.transports` */
  transport?: Transport | undefined
  /** A label that tells the user's devices apart; cut at 255 characters. @default none */
  device?: string | undefined
  /** `false`: the cookie goes when the browser closes. @default true */
  remember?: boolean | undefined
  /** Of this session, in seconds or as `'30m'`; at most the plugin's. @default the plugin's */
  idleLifetime?: Duration | undefined
  /** Of this session, in seconds or as `'12h'`; at most the plugin's. @default the plugin's */
  absoluteLifetime?: Duration | undefined
  /** Plain JSON of at most 1 KiB that stays in the store, for `Session.data`. @default none */
  data?: unknown
  /**
   * `true`: the login is refused if it brings no DPoP proof; needs `'dpop'` in
   * `refreshToken.bindings`. @default false: without a proof the session is unbound
   */
  bound?: boolean | undefined
  /**
   * Ends the session whose refresh cookie the request brings and this login's cookie overwrites.
   * @default true
   */
  replace?: boolean | undefined
}

/** The claims of a login: those of the access tokens, `sub` among them. */
export type LoginClaims = SessionClaims & { sub: string }

/** A login that has been checked. Lifetimes in ms; `undefined`: the plugin's. */
interface Checked {
  content: Content
  idleLifetime: number | undefined
  absoluteLifetime: number | undefined
  replace: boolean
  bound: boolean
}

/** Returns a way to complain of the arguments of a call, such as `reply.login`. */
export const complainOf = (call: string): Complain => (sentence) =>
  new InvalidLoginError(`${call}: ${sentence}`)

const names =
  'transport, device, remember, idleLifetime, absoluteLifetime, data, bound and replace'

/** Checks the arguments of a login. @throws INVALID_LOGIN */
export function checkLogin (
  { settings }: Services, givenClaims: unknown, options: unknown, invalidLogin: Complain
): Checked {
  const { idleLifetime, absoluteLifetime, transports } = settings.refreshToken
  const { sub, claims } = readClaims(givenClaims, invalidLogin)
  if (typeof sub !== 'string' || sub === '') {
    throw invalidLogin(`claims.sub is ${describe(sub)}; it must be a non-empty string`)
  }
  if (!isObject(options)) {
    throw invalidLogin(`options are ${describe(options)}; they must be an object`)
  }
  const { transport = transports[0], device, data, ...flags } = options
  const { remember = true, bound = false, replace = true, ...others } = flags
  const { idleLifetime: idle, absoluteLifetime: absolute, ...unknown } = others
  const [name] = Object.keys(unknown)
  if (name !== undefined) {
    throw invalidLogin(`the option ${name} is unknown; there are ${names}`)
  }
  if (!transports.includes(transport as Transport)) {
    throw invalidLogin(`the transport ${describe(transport)} is not on; ` +
      `refreshToken.transports is ${describe(transports)}`)
  }
  for (const [name, given] of Object.entries({ remember, bound, replace })) {
    if (typeof given === 'boolean') continue
    throw invalidLogin(`${name} is ${describe(given)}; it must be true or false`)
  }
  const content: Content = {
    sub,
    claims,
    device: checkDevice(device, invalidLogin) ?? null,
    data: checkData(data, invalidLogin),
    transport: transport as Transport,
    remember: remember as boolean,
    dpop: false
  }
  return {
    content,
    idleLifetime: checkLifetime('idleLifetime', idle, idleLifetime, invalidLogin),
    absoluteLifetime:
      checkLifetime('absoluteLifetime', absolute, absoluteLifetime, invalidLogin),
    replace: replace as boolean,
    bound: bound as boolean
  }
}

function checkLifetime (
  name: string, given: unknown, most: number, invalidLogin: Complain
): number | undefined {
  if (given === undefined) return undefined
  const ms = toMilliseconds(given)
  if (ms !== undefined && ms >= 1000 && ms <= most) return ms
  throw invalidLogin(`${name} is ${describe(given)}; ` +
    `it must be a duration from one second to the plugin's ${most / 1000} s`)
}
