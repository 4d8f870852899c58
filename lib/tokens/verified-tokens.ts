import { LruMap } from 'toad-cache'

const mostBytes = 32 * 1024 * 1024
/** What an entry takes beside its token and its claims, in bytes. */
const overhead = 400

/** The claims of tokens that were verified, bounded by the memory that they take. */
export class VerifiedTokens<Claims extends object> {
  // Without a bound by number.
  readonly #entries = new LruMap<Entry<Claims>>(0)
  #bytes = 0

  /** Returns the caller's own copy of the claims of a token that is known. */
  get (token: string): Claims | undefined {
    const entry = this.#entries.get(token)
    if (entry === undefined) return undefined
    // Many requests bring the same token, and each may change what it gets.
    return entry.isFlat ? { ...entry.claims } : clone(entry.claims)
  }

  /** Remembers a token that is not known yet; those used longest ago make room for it. */
  set (token: string, claims: Claims): void {
    // A member takes more in memory than in a token: an empty object has 2 characters there and
    // 56 bytes here.
    const bytes = overhead + token.length * 3 + 64 * countMembers(claims)
    const isFlat = Object.values(claims).every((claim) => !isNested(claim))
    this.#entries.set(token, { claims, bytes, isFlat })
    this.#bytes += bytes
    while (this.#bytes > mostBytes) {
      this.#bytes -= (this.#entries.first as { value: Entry<Claims> }).value.bytes
      this.#entries.evict()
    }
  }
}

interface Entry<Claims> {
  claims: Claims
  bytes: number
  /** Whether no claim is an object, so that a copy is one step. */
  isFlat: boolean
}

const isNested = (given: unknown): given is object => typeof given === 'object' && given !== null

function clone<T> (given: T): T {
  if (Array.isArray(given)) return given.map(clone) as T
  if (!isNested(given)) return given
  const members = Object.entries(given).map(([name, member]) => [name, clone(member)])
  return Object.fromEntries(members) as T
}

function countMembers (given: unknown): number {
  if (!isNested(given)) return 0
  return Object.values(given).reduce<number>((sum, member) => sum + 1 + countMembers(member), 0)
}
