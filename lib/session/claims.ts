import { isObject } from '../options/schema'
import { InvalidClaimsError } from '../errors'

/** The names that the plugin itself sets in an access token. */
const reserved = ['sid', 'iat', 'exp', 'nbf', 'auth_time', 'iss', 'aud']

/** Splits claims into `sub` and the rest. @throws what `complain` makes of the first thing that is wrong with them */
export function readClaims (given: unknown, complain: (sentence: string) => Error): { sub: unknown, extra: Record<string, unknown> } {
  if (!isPlain(given)) throw complain('claims must be a plain object')
  const { sub, ...extra } = given
  for (const name of reserved) {
    if (Object.hasOwn(extra, name)) throw complain(`the claim ${name} is set by the plugin and cannot be given`)
  }
  const culprit = findForeign(extra, '', new Set())
  if (culprit !== undefined) throw complain(`claims must be plain JSON; the claim ${culprit} is not`)
  return { sub, extra }
}

/** Calls the `claims` hook; whatever it throws is no verdict on the client. @throws what it throws, as a 5xx */
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

// The path of the first value that would not survive JSON; a member that is undefined is one that is not there.
function findForeign (given: unknown, path: string, above: Set<unknown>): string | undefined {
  if (given === null || typeof given === 'string' || typeof given === 'boolean') return undefined
  if (typeof given === 'number') return Number.isFinite(given) ? undefined : path
  if (!(Array.isArray(given) || isPlain(given)) || above.has(given)) return path
  above.add(given)
  for (const [name, member] of Array.isArray(given) ? given.entries() : Object.entries(given)) {
    if (member === undefined && !Array.isArray(given)) continue
    const culprit = findForeign(member, path === '' ? String(name) : `${path}.${name}`, above)
    if (culprit !== undefined) return culprit
  }
  above.delete(given)
}
