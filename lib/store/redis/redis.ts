import { object, value } from '../../options/schema'
import type {
  Creation, EndedAll, EndingAll, Listener, Replication, Rotation, SessionRecord, Store
} from '../store'
import { checkRedisClient, type RedisClient } from './client'
import { Coalescer } from './coalesce'
import { onReady } from './on-ready'
import { checkPermissions, checkWait } from './permissions'
import { toArguments, toOutcome, toProofs, toThumbprint } from './presentation'
import { RedisReplication } from './replication'
import { toRecord, toReply } from './scripts/record'
import { createScripts, type Script, type Scripts } from './scripts/scripts'
import { inTime, Sender, type Argument } from './send'
import { loadScripts, readServerInfo } from './server-info'
import { subscribe } from './subscription'

const isPrefix = (given: unknown): given is string =>
  typeof given === 'string' && !/[{}]/.test(given)
const readOptions = object({ prefix: value(isPrefix, 'a string without braces', 'jwt:') })

/** Keeps sessions in Redis: one script and one round trip for each step. */
export class RedisStore implements Store {
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #channel: string
  readonly #scripts: Scripts
  readonly #sender: Sender
  readonly #coalescer: Coalescer
  /** Whether somebody waits for replicas. */
  #replicated = false

  /**
   * @param options.prefix what every key and channel begins with
   * @default options.prefix 'jwt:'
   * @throws INVALID_OPTION
   */
  constructor (client: RedisClient, options: { prefix?: string | undefined } = {}) {
    this.#client = checkRedisClient(client, 'RedisStore: client')
    this.#prefix = readOptions(options, 'RedisStore: options').prefix
    this.#channel = `${this.#prefix}ended`
    this.#scripts = createScripts(this.#channel)
    this.#sender = new Sender(client, this.#keyOf(''))
    this.#coalescer = new Coalescer(client, this.#sender.send)
    // Not only at the start: Redis may be down then, and another kind of server may come back.
    onReady(client, this, (store) => { store.#meet() })
  }

  now () {
    return this.#sender.clock.now()
  }

  async open (timeout: number) {
    await this.#sender.readiness.wait(timeout)
    const warnings = await this.#meet()
    if (this.#sender.unfit === undefined) {
      const [unloaded, forbidden, unconfirmed] = await Promise.all([
        loadScripts(this.#client, Object.values(this.#scripts)),
        checkPermissions(this.#client, this.#keyOf('')),
        this.#replicated ? checkWait(this.#client) : []
      ])
      // A step that is sure to fail would say less than what is missing.
      if (forbidden.length === 0) await this.list('', timeout)
      warnings.push(...unloaded, ...forbidden, ...unconfirmed)
    }
    if (warnings.length > 0) return warnings.join('; ')
  }

  async create (userTag: string, creation: Creation, timeout: number) {
    const { sid, signer, content, idleLifetime, absoluteLifetime, replaces = '' } = creation
    const limit = creation.maxSessions === Infinity ? 0 : creation.maxSessions
    const args = [sid, signer, content, idleLifetime, absoluteLifetime, limit, replaces]
    const { packed, others } = await this.#run(this.#scripts.create, userTag, args, timeout)
    return { session: toRecord(sid, packed), ended: others }
  }

  async find (userTag: string, sid: string, timeout: number) {
    return await this.#runForOne(this.#scripts.find, userTag, [sid], timeout)
  }

  async list (userTag: string, timeout: number) {
    return (await this.#run(this.#scripts.list, userTag, [], timeout)).others
  }

  async rotate (userTag: string, rotation: Rotation, timeout: number) {
    const args = toArguments(rotation)
    return toOutcome(rotation, await this.#run(this.#scripts.rotate, userTag, args, timeout))
  }

  async update (
    userTag: string, { sid, from, to }: { sid: string, from: string, to: string }, timeout: number
  ) {
    return await this.#runForOne(this.#scripts.update, userTag, [sid, from, to], timeout)
  }

  async end (userTag: string, sid: string, timeout: number) {
    return await this.#runForOne(this.#scripts.end, userTag, [sid], timeout)
  }

  async endAll (
    userTag: string, { except = '', witness }: EndingAll, timeout: number
  ): Promise<EndedAll> {
    const token = witness !== undefined && 'generation' in witness ? witness : undefined
    const shown: Argument[] = token === undefined
      ? []
      : [token.generation, token.handedOutAt, toProofs(token), token.gracePeriod, token.spentOn]
    const args = [except, witness?.sid ?? '', ...shown]
    const reply = await this.#run(this.#scripts.endAll, userTag, args, timeout)
    if (reply.outcome === 'done') return { outcome: 'done', ended: reply.others }
    return token === undefined ? { outcome: 'unknown' } : toOutcome(token, reply) as EndedAll
  }

  async bind (
    userTag: string, { sid, boundTo }: { sid: string, boundTo: string }, timeout: number
  ) {
    return await this.#runForOne(this.#scripts.bind, userTag, [sid, toThumbprint(boundTo)], timeout)
  }

  listen (listener: Listener) {
    return subscribe(this.#client, this.#channel, listener)
  }

  replication (): Replication {
    this.#replicated = true
    return new RedisReplication(this.#client, (userTag) => this.#keyOf(userTag))
  }

  async #meet (): Promise<string[]> {
    const { standalone, unfit, warnings } = await readServerInfo(this.#client)
    this.#coalescer.together = standalone
    this.#sender.unfit = unfit
    return warnings
  }

  // All keys of a user are in one hash slot.
  #keyOf (userTag: string): string {
    return `${this.#prefix}{${userTag}}`
  }

  async #run (script: Script, userTag: string, args: Argument[], timeout: number) {
    const keys = [this.#keyOf(userTag)]
    return await inTime(timeout, async (giveUpAt) =>
      toReply(await this.#coalescer.send(script, keys, args, giveUpAt)))
  }

  async #runForOne (
    script: Script, userTag: string, args: [sid: string, ...Argument[]], timeout: number
  ): Promise<SessionRecord | undefined> {
    const { outcome, packed } = await this.#run(script, userTag, args, timeout)
    return outcome === 'unknown' ? undefined : toRecord(args[0], packed)
  }
}
