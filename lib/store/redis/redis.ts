import { deny, object, value } from '../../options/schema'
import { Commands, type Argument, type Evaluating } from './send'
import type { Socketed } from './cork'
import { toAnswer, toRecord, type Answer } from './record'
import { createReplication } from './replication'
import { Rotations } from './coalesce'
import type { Script } from './scripts/script'
import { createScripts, type Scripts } from './scripts/scripts'
import { standsAlone, warnOfEviction, type Informant } from './server-info'
import type { Creation, Ending, Listener, Outcome, Rotation, Store } from '../store'
import { subscribe, type Publisher } from './subscription'

/** What is used of an ioredis-compatible client: `Redis` or `Cluster` of ioredis 5 and 6, or of iovalkey. */
export interface RedisClient extends Evaluating, Informant, Publisher {
  script: (subcommand: 'LOAD', lua: string) => Promise<unknown>
  /** Of a Cluster. */
  nodes?: (role: 'all' | 'master') => Array<Publisher & Socketed>
}

const isPrefix = (given: unknown): given is string => typeof given === 'string' && !/[{}]/.test(given)
const readOptions = object({ prefix: value(isPrefix, 'a string without braces', 'jwt:') })

/** Tells whether this looks like a client that RedisStore can use. */
export const isRedisClient = (given: unknown): given is RedisClient => typeof (given as { evalsha?: unknown } | null)?.evalsha === 'function'

/** Keeps sessions in Redis: one script and one round trip for each step, all keys of a user in one hash slot. */
export class RedisStore implements Store {
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #channel: string
  readonly #scripts: Scripts
  readonly #commands: Commands
  readonly #rotations: Rotations

  /** @param options.prefix stands before every key and channel, `jwt:` by default. @throws INVALID_OPTION */
  constructor (client: RedisClient, options: { prefix?: string } = {}) {
    if (!isRedisClient(client)) deny('redis', `of type ${typeof client}`, 'an ioredis-compatible Redis or Cluster')
    this.#client = client
    this.#prefix = readOptions(options, 'RedisStore').prefix
    this.#channel = `${this.#prefix}ended`
    this.#scripts = createScripts(this.#channel)
    this.#commands = new Commands(client)
    this.#rotations = new Rotations(this.#commands, this.#scripts.rotate)
    // Not at the start alone: Redis may be down then, and another kind of server may come back later.
    client.on('ready', () => { this.#meet() })
  }

  now () {
    return this.#commands.clock.now()
  }

  async open (within: number) {
    await this.#commands.readiness.wait(within)
    // On a Cluster this reaches some of the nodes; the others learn a script when it is first used.
    const loaded = Object.values(this.#scripts).map(async ({ lua }) => await this.#client.script('LOAD', lua))
    const [warning] = await Promise.all([warnOfEviction(this.#client), this.#meet(), this.list('', within), ...loaded])
    return warning
  }

  async create (user: string, { sid, signer, text, idleLifetime, absoluteLifetime, maxSessions }: Creation, within: number) {
    const limit = maxSessions === Infinity ? 0 : maxSessions
    const { packed, others } = await this.#ask(this.#scripts.create, user, [sid, signer, text, idleLifetime, absoluteLifetime, limit], within)
    return { session: toRecord(sid, packed), ended: others }
  }

  async find (user: string, sid: string, within: number) {
    return ofOne(sid, await this.#ask(this.#scripts.find, user, [sid], within))
  }

  async list (user: string, within: number) {
    return (await this.#ask(this.#scripts.list, user, [], within)).others
  }

  async rotate (user: string, rotation: Rotation, within: number): Promise<Outcome> {
    return await this.#rotations.rotate(this.#keyOf(user), rotation, within)
  }

  async end (user: string, sid: string, within: number) {
    return ofOne(sid, await this.#ask(this.#scripts.end, user, [sid], within))
  }

  async endAll (user: string, { except = '', witness = '' }: Ending, within: number) {
    return (await this.#ask(this.#scripts.endAll, user, [except, witness], within)).others
  }

  listen (listener: Listener) {
    return subscribe(this.#client, this.#channel, listener)
  }

  replication () {
    return createReplication(this.#client, (user) => this.#keyOf(user))
  }

  async #meet (): Promise<void> {
    this.#rotations.together = await standsAlone(this.#client)
  }

  #keyOf (user: string): string {
    return `${this.#prefix}{${user}}`
  }

  async #ask (script: Script, user: string, args: Argument[], within: number): Promise<Answer> {
    return await this.#commands.inTime(within, async (giveUpAt) => {
      this.#commands.cork()
      const [head, ...others] = await this.#commands.send(script, [this.#keyOf(user)], args, giveUpAt)
      return toAnswer(head as Buffer, others as Array<[Buffer, Buffer]>)
    })
  }
}

const ofOne = (sid: string, { outcome, packed }: Answer) => outcome === 'unknown' ? undefined : toRecord(sid, packed)
