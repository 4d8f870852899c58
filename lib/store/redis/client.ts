import { deny, typeOf } from '../../options/schema'
import { createTimeout } from '../timeout'
import { onReady } from './on-ready'

type Argument = string | number | Buffer
type Evaluate = (script: string, keys: number, ...args: Argument[]) => Promise<unknown>

/** A stream that can hold back what is written to it. */
export interface Corkable {
  cork: () => void
  uncork: () => void
}

/**
 * The members of an ioredis-compatible client that are used: of `Redis` or `Cluster` of ioredis 5
 * and 6, or of iovalkey.
 */
export interface RedisClient {
  /** `'ready'`: a command would leave now. */
  readonly status: string
  /** Connects a client that waits for it. */
  connect: () => Promise<unknown>
  /** Listens for the moment at which the connection is ready. */
  on: (event: 'ready', listener: () => void) => unknown
  /** Runs a script that the server knows. */
  evalsha: Evaluate
  /** Runs a script. */
  eval: Evaluate
  /** Loads a script. */
  script: (subcommand: 'LOAD', lua: string) => Promise<unknown>
  /** Reads what the server says of itself. */
  info: (section: string) => Promise<string>
  /** Publishes on a channel. */
  publish: (channel: string, message: string) => Promise<unknown>
  /** Creates a client of the same options, to subscribe with. */
  duplicate: (...args: never[]) => unknown
  /** The socket of a client with one connection. */
  readonly stream?: Corkable
  /** The nodes of a Cluster. */
  nodes?: (role: 'all' | 'master') => ClusterNode[]
  /** The nodes of a Cluster that have a slot, its master first. */
  readonly slots?: readonly string[][]
}

/** What is used of a node of a Cluster. */
export type ClusterNode = Pick<RedisClient, 'publish' | 'duplicate' | 'stream'>

/** Every such client has these as well, though its types do not say so. */
export type Binary = Record<'evalshaBuffer' | 'evalBuffer', Evaluate>

const methods = [
  'evalsha', 'eval', 'evalshaBuffer', 'evalBuffer', 'script',
  'info', 'publish', 'connect', 'duplicate', 'on'
]

/** Returns whether this is a client that RedisStore can use. */
export const isRedisClient = (given: unknown): given is RedisClient => lacks(given) === undefined

/**
 * Returns the client that is given.
 * @throws INVALID_OPTION that says what it lacks, if RedisStore cannot use it
 */
export function checkRedisClient (given: unknown, path: string): RedisClient {
  const lacking = lacks(given)
  if (lacking === undefined) return given as RedisClient
  // A URL given by mistake may hold a password: only the type of what was given is said.
  const what = lacking === '' ? typeOf(given) : `a client without ${lacking}`
  return deny(path, what, 'a Redis or Cluster of ioredis or iovalkey')
}

// `undefined`: nothing.
function lacks (given: unknown): string | undefined {
  if (typeof given !== 'object' || given === null) return ''
  const client = given as Record<string, unknown>
  const lacking = methods.filter((name) => typeof client[name] !== 'function')
  // ioredis-mock has all the methods, but no status, and does not do with scripts what Redis does.
  if (typeof client.status !== 'string') lacking.push('status')
  return lacking.length === 0 ? undefined : lacking.join(', ')
}

/**
 * Lets commands wait, outside the client, until its connection is ready, so that they do not end up
 * in its own queue.
 */
export class Readiness {
  readonly #client: RedisClient
  readonly #waiting = new Set<() => void>()

  constructor (client: RedisClient) {
    this.#client = client
    onReady(client, this, (readiness) => readiness.#proceed())
  }

  #proceed (): void {
    for (const proceed of this.#waiting) proceed()
  }

  /** Whether a command would leave now. */
  get ready (): boolean {
    return this.#client.status === 'ready'
  }

  /** How many wait. */
  get waiting (): number {
    return this.#waiting.size
  }

  /** Resolves once the client is ready. @throws if it is not within `timeout` ms */
  async wait (timeout: number): Promise<void> {
    if (this.ready) return
    // A client with lazyConnect sleeps until somebody asks.
    if (this.#client.status === 'wait') this.#client.connect().catch(() => {})
    await new Promise<void>((resolve, reject) => {
      const settle = (done: () => void) => () => {
        this.#waiting.delete(proceed)
        stop()
        done()
      }
      const proceed = settle(resolve)
      const stop = createTimeout(timeout, settle(() => {
        reject(new Error(`the connection is not ready: ${this.#client.status}`))
      }))
      this.#waiting.add(proceed)
    })
  }
}
