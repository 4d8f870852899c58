import { InvalidClaimsError } from '../errors'
import { isObject } from '../options/schema'

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
  if (!isPlain(given)) throw complain('claims must be a plain object')
  const { sub, ...claims } = given
  for (const name of reserved) {
    if (Object.hasOwn(claims, name)) {
      throw complain(`the claim ${name} is set by the plugin and cannot be given`)
    }
  }
  const culprit = findForeign(claims)
  if (culprit !== undefined) {
    throw complain(`claims must be plain JSON; the claim ${culprit} is not`)
  }
  return { sub, claims }
}

/** Returns whether a value is plain JSON. */
export const isJson = (given: unknown): boolean => findForeign(given) === undefined

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

// Returns the path of the first value that would not survive JSON, or that changes what a later
// reader inherits. A member that is undefined is one that is not there.
function findForeign (given: unknown, path = '', above = new Set<unknown>()): string | undefined {
  if (given === null || typeof given === 'string' || typeof given === 'boolean') return undefined
  if (typeof given === 'number') return Number.isFinite(given) ? undefined : path
  if (!(Array.isArray(given) || isPlain(given)) || above.has(given)) return path
  if (above.size === deepest) return path.slice(0, 100)
  above.add(given)
  for (const [name, member] of Array.isArray(given) ? given.entries() : Object.entries(given)) {
    const at = path === '' ? String(name) : `${path}.${name}`
    if (name === '__proto__') return at
    if (member === undefined && !Array.isArray(given)) continue
    const culprit = findForeign(member, at, above)
    if (culprit !== undefined) return culprit
  }
  above.delete(given)
}
