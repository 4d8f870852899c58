import { InvalidClaimsError } from '../errors'
import { isObject, typeOf } from '../options/schema'

/** The names that the plugin itself sets in an access token. */
const reserved = [
  'sid', 'iat', 'exp', 'nbf', 'auth_time', 'iss', 'aud', 'jti', 'client_id', 'cnf', 'bound'
]

/** Creates the error for a sentence that says what is wrong. */
export type Complain = (sentence: string) => Error

/**
 * Splits claims into `sub` and the rest.
 * @throws what `complain` creates for the first thing that is wrong with them
 */
export function readClaims (
  given: unknown,
  complain: Complain
): { sub: unknown, claims: Record<string, unknown> } {
  if (!isPlain(given)) throw complain(`claims are ${typeOf(given)}; they must be a plain object`)
  const { sub, ...claims } = given
  for (const name of reserved) {
    if (Object.hasOwn(claims, name)) {
      throw complain(`the claim ${name} is set by the plugin and cannot be given`)
    }
  }
  const fault = findNoJson(claims, '')
  if (fault !== undefined) throw complain(`the claim ${fault}; claims must be plain JSON`)
  return { sub, claims }
}

/**
 * Calls the `claims` hook; whatever it throws is no verdict on the client.
 * @throws what it throws, as a 5xx
 */
export async function callHook<T> (hook: () => Promise<T>): Promise<T> {
  try {
    return await hook()
  } catch (error) {
    const { statusCode, status } = Object(error) as { statusCode?: number, status?: number }
    if (error instanceof Error && (statusCode ?? status ?? 500) >= 500) throw error
    throw Object.assign(new InvalidClaimsError('the claims hook failed'), { cause: error })
  }
}

function isPlain (given: unknown): given is Record<string, unknown> {
  if (!isObject(given)) return false
  const prototype: unknown = Object.getPrototypeOf(given)
  return prototype === Object.prototype || prototype === null
}

/** How many values may stand within one another: more would exhaust the stack of a reader. */
const deepest = 1_000

/**
 * Returns what is no plain JSON: where it stands and what it is, but no text of it; `undefined`
 * where all is. A name that changes what a later reader inherits is none. A member that is
 * undefined is one that is not there.
 */
export function findNoJson (
  given: unknown, path: string, above = new Set<unknown>()
): string | undefined {
  if (given === null || typeof given === 'string' || typeof given === 'boolean') return undefined
  const at = path.length > 100 ? `${path.slice(0, 100)}…` : path
  if (typeof given === 'number') return Number.isFinite(given) ? undefined : `${at} is ${given}`
  if (!(Array.isArray(given) || isPlain(given))) return `${at} is ${typeOf(given)}`
  if (above.has(given)) return `${at} holds itself`
  if (above.size === deepest) return `${at} is more than ${deepest} levels deep`
  above.add(given)
  for (const [name, member] of Array.isArray(given) ? given.entries() : Object.entries(given)) {
    if (name === '__proto__') return `${at === '' ? '' : `${at}.`}__proto__ is a forbidden name`
    if (member === undefined && !Array.isArray(given)) continue
    const fault = findNoJson(member, path === '' ? String(name) : `${path}.${name}`, above)
    if (fault !== undefined) return fault
  }
  above.delete(given)
}
