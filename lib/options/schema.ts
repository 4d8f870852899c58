import { InvalidOptionError } from '../errors'
import { toMilliseconds } from './duration'

/**
 * Reads one option: returns its normal form, or throws INVALID_OPTION. The path of an argument
 * begins with its call: `reply.logout: options.all`.
 */
export type Check<T> = (given: unknown, path: string) => T

type Table = Record<string, Check<unknown>>
type Read<T extends Table> = { [K in keyof T]: ReturnType<T[K]> }

const call = /^[\w.]+: /

/**
 * Refuses an option, or an argument, by a sentence that names it, what was given and what is
 * allowed.
 */
export function deny (path: string, given: string, allowed: string): never {
  const subject = call.test(path) ? path : `The option ${path}`
  throw new InvalidOptionError(`${subject} is ${given}; allowed: ${allowed}`)
}

/** Describes in a few words what was given; not for secrets. */
export function describe (given: unknown): string {
  if (typeof given === 'string') {
    return JSON.stringify(given.length > 60 ? given.slice(0, 60) + '…' : given)
  }
  if (Array.isArray(given)) return describeList(given)
  if (given instanceof RegExp) return String(given)
  if (typeof given === 'bigint') return `${given}n`
  return typeof given === 'object' && given !== null
    ? 'an object'
    : typeof given === 'function'
      ? 'a function'
      : String(given)
}

/** Describes what may be a URL: it may hold a password, which is not for a log. */
export const describeUrl = (given: unknown): string => typeof given !== 'string'
  ? typeOf(given)
  : given.includes('@') ? 'text with an @' : describe(given)

function describeList (given: unknown[]): string {
  const some = given
    .slice(0, 5)
    .map((member) => (Array.isArray(member) ? 'an array' : describe(member)))
  return `[${[...some, ...given.length > 5 ? ['…'] : []].join(', ')}]`
}

export const isObject = (given: unknown): given is Record<string, unknown> =>
  typeof given === 'object' && given !== null && !Array.isArray(given)

/** Reads an object whose every name stands in the table. */
export function object<T extends Table> (table: T): Check<Read<T>> {
  return (given, path) => {
    const at = (name: string) => path === '' ? name : `${path}.${name}`
    const options = given === undefined ? {} : given
    if (!isObject(options)) deny(path, describe(given), 'an object')
    for (const name of Object.keys(options)) {
      if (!Object.hasOwn(table, name)) {
        const names = Object.keys(table).map((known) => at(known).replace(call, ''))
        deny(at(name), 'unknown', names.join(', '))
      }
    }
    return Object.fromEntries(
      Object.entries(table).map(([name, check]) => [name, check(options[name], at(name))])
    ) as Read<T>
  }
}

/** Reads what satisfies `test`, or `fallback` where nothing was given. */
export function value<T, const F> (
  test: (given: unknown) => given is T,
  allowed: string,
  fallback: F
): Check<T | F> {
  return (given, path) =>
    given === undefined ? fallback : test(given) ? given : deny(path, describe(given), allowed)
}

const from = { 0: 'of 0 or more', 1: 'above 0', 1000: 'of one second or more' }

/** Reads a duration into milliseconds. */
export function duration<const F> (
  fallback: F, least: keyof typeof from = 1, most = 'ten years'
): Check<number | F> {
  const allowed = `a duration ${from[least]} and up to ${most}, a number of seconds or as '30m'`
  return (given, path) => {
    if (given === undefined) return fallback
    const ms = toMilliseconds(given)
    return ms !== undefined && ms >= least ? ms : deny(path, describe(given), allowed)
  }
}

const longestWait = 30_000

/** Reads how long something may wait, into milliseconds: more than 30 s were meant as ms. */
export const wait = (fallback: number): Check<number> => (given, path) => {
  const ms = duration(fallback, 1, '30 s')(given, path)
  if (ms <= longestWait) return ms
  return deny(path, `${ms / 1000} s`, 'up to 30 s: it is in seconds, as all durations')
}

export const isString = (given: unknown): given is string =>
  typeof given === 'string' && given !== ''
export const isBoolean = (given: unknown): given is boolean => typeof given === 'boolean'
export const isListOf = <T>(test: (given: unknown) => given is T) =>
  (given: unknown): given is T[] => Array.isArray(given) && given.every(test)

/** Describes a value by its type alone, since it may be a secret. */
export const typeOf = (given: unknown): string =>
  given === undefined ? 'missing' : given === null ? 'null' : `of type ${nameType(given)}`

function nameType (given: unknown): string {
  try {
    const { constructor } = Object.getPrototypeOf(given) as { constructor: { name: unknown } }
    if (typeof given === 'object' && constructor !== Object && isString(constructor.name)) {
      return constructor.name
    }
  } catch {
    // Whoever made it does not want it looked at, or it has no prototype.
  }
  return typeof given
}
