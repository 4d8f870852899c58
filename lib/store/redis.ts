import { deny, object, value } from '../check'
import { Clock } from './clock'
import { createCork, type Socketed } from './cork'
import { toRecord } from './packed'
import { warnOfEviction, type Informant } from './eviction'
import { Readiness, type Connection } from './ready'
import { createReplication } from './replication'
import type { Script } from './script'
import { create, end, endAll, find, list, rotate } from './scripts'
import type { Creation, Ending, Listener, Outcome, Rotation, Store } from './store'
import { subscribe, type Publisher } from './subscription'

type Evaluate = (script: string, keys: number, ...args: Array<string | number>) => Promise<unknown>

/** What is used of an ioredis-compatible client: `Redis` or `Cluster` of ioredis 5 and 6, or of iovalkey. */
export interface RedisClient extends Connection, Informant, Publisher, Socketed {
  evalsha: Evaluate
  eval: Evaluate
  script: (subcommand: 'LOAD', lua: string) => Promise<unknown>
}

/** Every such client has these as well, though its types leave them out. */
type BinaryClient = RedisClient & Record<'evalshaBuffer' | 'evalBuffer', Evaluate>

type Pair = [sid: Buffer, packed: Buffer]
type Reply = [now: number, outcome: Buffer, ...details: unknown[]]

const isPrefix = (given: unknown): given is string => typeof given === 'string' && !/[{}]/.test(given)
const readOptions = object({ prefix: value(isPrefix, 'a string without braces', 'jwt:') })

/** Tells whether this looks like a client that RedisStore can use. */
export const isRedisClient = (given: unknown): given is RedisClient => typeof (given as { evalsha?: unknown } | null)?.evalsha === 'function'

/** Keeps sessions in Redis: one script and one round trip for each step, all keys of a user in one hash slot. */
export class RedisStore implements Store {
  readonly #client: BinaryClient
  readonly #prefix: string
  readonly #channel: string
  readonly #readiness: Readiness
  readonly #clock = new Clock()
  readonly #cork: () => void

  /** @param options.prefix stands before every key and channel, `jwt:` by default. @throws INVALID_OPTION */
  constructor (client: RedisClient, options: { prefix?: string } = {}) {
    if (!isRedisClient(client)) deny('redis', `of type ${typeof client}`, 'an ioredis-compatible Redis or Cluster')
    this.#client = client as BinaryClient
    this.#prefix = readOptions(options, 'RedisStore').prefix
    this.#channel = `${this.#prefix}ended`
    this.#readiness = new Readiness(client)
    this.#cork = createCork(client)
  }

  now () {
    return this.#clock.now()
  }

  async open (within: number) {
    await this.#readiness.wait(within)
    // On a Cluster this reaches some of the nodes; the others learn a script when it is first used.
    await Promise.all([create, find, list, rotate, end, endAll].map(async ({ lua }) => await this.#client.script('LOAD', lua)))
    await this.list('', within)
    return await warnOfEviction(this.#client)
  }

  async create (user: string, { sid, signer, text, idleLifetime, absoluteLifetime, maxSessions }: Creation, within: number) {
    const limit = maxSessions === Infinity ? 0 : maxSessions
    const [, , session, ...ended] = await this.#run(create, user, [sid, signer, text, idleLifetime, absoluteLifetime, limit, this.#channel], within)
    return { session: toRecord(sid, session as Buffer), ended: (ended as Pair[]).map(ofPair) }
  }

  async find (user: string, sid: string, within: number) {
    const [, , session] = await this.#run(find, user, [sid], within)
    return session === undefined ? undefined : toRecord(sid, session as Buffer)
  }

  async list (user: string, within: number) {
    const [, , ...sessions] = await this.#run(list, user, [], within)
    return (sessions as Pair[]).map(ofPair)
  }

  async rotate (user: string, { sid, generation, signer, text, idleLifetime, gracePeriod }: Rotation, within: number): Promise<Outcome> {
    const args = [sid, generation, signer, idleLifetime, gracePeriod, this.#channel]
    const [, outcome, session, distance, msSinceRotation] = await this.#run(rotate, user, text === undefined ? args : [...args, text], within)
    if (session === undefined) return { outcome: 'unknown' }
    return {
      outcome: String(outcome) as 'rotated' | 'repeated' | 'reused',
      session: toRecord(sid, session as Buffer),
      distance: distance as number,
      msSinceRotation: msSinceRotation as number
    }
  }

  async end (user: string, sid: string, within: number) {
    const [, , session] = await this.#run(end, user, [sid, this.#channel], within)
    return session === undefined ? undefined : toRecord(sid, session as Buffer)
  }

  async endAll (user: string, { except = '', witness = '' }: Ending, within: number) {
    const [, , ...sessions] = await this.#run(endAll, user, [except, witness, this.#channel], within)
    return (sessions as Pair[]).map(ofPair)
  }

  listen (listener: Listener) {
    return subscribe(this.#client, this.#channel, listener)
  }

  replication () {
    return createReplication(this.#client, (user) => this.#keyOf(user))
  }

  #keyOf (user: string): string {
    return `${this.#prefix}{${user}}`
  }

  async #run (script: Script, user: string, args: Array<string | number>, within: number): Promise<Reply> {
    const giveUpAt = performance.now() + within
    await this.#readiness.wait(within)
    let reply = await this.#send(script, user, args, giveUpAt)
    // Late by the store's clock yet not by ours: that clock was unknown, or has stepped, and is known now.
    if (isLate(reply) && performance.now() < giveUpAt) reply = await this.#send(script, user, args, giveUpAt)
    if (isLate(reply)) throw new Error('the command reached the store too late')
    return reply
  }

  async #send ({ sha, lua }: Script, user: string, args: Array<string | number>, giveUpAt: number): Promise<Reply> {
    const sentAt = performance.now()
    const now = this.#clock.now()
    const notAfter = now === undefined ? 0 : Math.ceil(now + giveUpAt - sentAt)
    const all = [this.#keyOf(user), notAfter, ...args] as const
    this.#cork()
    const reply = await this.#client.evalshaBuffer(sha, 1, ...all).catch(async (error: Error) => {
      if (error.message.startsWith('NOSCRIPT')) return await this.#client.evalBuffer(lua, 1, ...all)
      throw error
    }) as Reply
    this.#clock.learn(reply[0], sentAt)
    return reply
  }
}

const ofPair = ([sid, packed]: Pair) => toRecord(sid.toString(), packed)
const isLate = (reply: Reply) => String(reply[1]) === 'late'
