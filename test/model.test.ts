import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { MemoryStore, RedisStore, type Store } from '../lib/index'
import type { SessionRecord } from '../lib/store/store'
import { TestClock, minute } from './support/app'
import {
  Model,
  absoluteLifetime,
  anyCommand,
  graces,
  halves,
  idleLifetime,
  sidAt,
  step,
  type Command,
  type Outcome,
  type Seen
} from './support/model'
import { redisFor } from './support/servers/redis'
import { age } from './support/age'

type Test = InstanceType<typeof import('tap').Test>

/** The stores under test; several are several nodes' ways to the same sessions. */
interface Subject {
  stores: [Store, ...Store[]]
  pass: (ms: number) => Promise<void> | void
  /** What holds at every moment. */
  check: () => Promise<void> | void
}

const within = 10_000

/** What a record says, in the model's words. */
const see =
  (store: Store) =>
    ({
      sid,
      generation,
      content,
      boundTo,
      createdAt,
      refreshedAt,
      expiresAt,
      deadline
    }: SessionRecord): Seen => {
      const [created, refreshed, expires, end] = [createdAt, refreshedAt, expiresAt, deadline].map(
        (time) => halves(time - (store.now() ?? NaN))
      ) as [number, number, number, number]
      return { sid, generation, content, boundTo, created, refreshed, expires, deadline: end }
    }

async function perform (
  store: Store,
  command: Exclude<Command, { verb: 'pass' }>,
  sids: string[],
  own: string,
  model: Model
): Promise<Outcome> {
  const named = (number: number | undefined) =>
    number === undefined ? undefined : (sids[number % sids.length] ?? 'none')
  const one = see(store)
  switch (command.verb) {
    case 'create': {
      const { session, ended } = await store.create(
        command.user,
        {
          sid: own,
          signer: 'abc',
          content: own,
          idleLifetime,
          absoluteLifetime,
          maxSessions: command.maxSessions
        },
        within
      )
      return { session: one(session), ended: ended.map(one) }
    }
    case 'list':
      return (await store.list(command.user, within)).map(one)
    case 'endAll': {
      const sid = named(command.witness)
      const witness = sid === undefined ? undefined : { sid }
      const ended = await store.endAll(
        command.user,
        { except: named(command.except), witness },
        within
      )
      return ended.outcome === 'done' ? ended.ended.map(one) : []
    }
    case 'find':
    case 'end': {
      const session = await store[command.verb](command.user, named(command.of) ?? 'none', within)
      return session === undefined ? undefined : one(session)
    }
    case 'bind': {
      const binding = { sid: named(command.of) ?? 'none', boundTo: command.key }
      const session = await store.bind?.(command.user, binding, within)
      return session === undefined ? undefined : one(session)
    }
    case 'rotate': {
      const sid = named(command.of) ?? 'none'
      const rotation = {
        sid,
        generation: model.presents(sid, command.offset),
        signer: 'abc',
        content: command.content === undefined ? undefined : { from: sid, to: command.content },
        boundTo: command.boundTo,
        proof: command.proof,
        idleLifetime,
        gracePeriod: graces[command.grace],
        handedOutAt: model.handedOutAt(sid),
        spentOn: 'issue' as const
      }
      const result = await store.rotate(command.user, rotation, within)
      if (!('session' in result)) return { outcome: result.outcome }
      const { outcome, session } = result
      if (outcome === 'changed') return { outcome, session: one(session) }
      return { outcome, distance: result.distance, session: one(session) }
    }
  }
}

/** A store and its model, and all sessions that were ever created. */
class Run {
  readonly model = new Model()
  readonly sids: string[] = []
  readonly #subject: Subject
  #position = 0

  constructor (subject: Subject) { this.#subject = subject }

  /** One command after another, both sides agreeing on each, and on what lives after it. */
  async inTurn (commands: Command[]): Promise<void> {
    const { stores: [store], pass, check } = this.#subject
    for (const command of commands) {
      const own = this.#name(command)
      if (command.verb === 'pass') {
        this.model.apply(command, this.sids, own)
        await pass(command.minutes * minute)
      } else {
        const outcome = await perform(store, command, this.sids, own, this.model)
        agree(outcome, this.model.apply(command, this.sids, own), command)
      }
      await this.#agreeOnAll(this.model)
      await check()
    }
  }

  /**
   * All at once, each by another node's way: what comes back must be what some order of them would
   * have given.
   */
  async atOnce (commands: Array<Exclude<Command, { verb: 'pass' }>>): Promise<void> {
    const { stores } = this.#subject
    const names = commands.map((command) => this.#name(command))
    const before = this.model.clone()
    const outcomes = await Promise.all(
      commands.map(
        async (command, i) =>
          await perform(
            stores[i % stores.length] ?? stores[0],
            command,
            this.sids,
            names[i] ?? '',
            before
          )
      )
    )
    const after: Model[] = []
    for (const order of permutations(commands.map((_, i) => i))) {
      const model = new Fixed(before)
      const explains = order.every((i) =>
        same(model.apply(commands[i] as Command, this.sids, names[i] ?? ''), outcomes[i])
      )
      if (explains) after.push(model.inner)
    }
    if (after.length === 0) {
      throw new Error(
        `no order explains ${JSON.stringify(
          commands.map((command, i) => ({ ...command, outcome: outcomes[i] })),
          null,
          1
        )}`
      )
    }
    const failures = await Promise.allSettled(
      after.map(async (model) => await this.#agreeOnAll(model))
    )
    if (failures.every(({ status }) => status === 'rejected')) {
      throw (failures[0] as PromiseRejectedResult).reason
    }
  }

  #name (command: Command): string {
    const sid = sidAt(this.#position++)
    if (command.verb === 'create') this.sids.push(sid)
    return sid
  }

  async #agreeOnAll (model: Model): Promise<void> {
    const { stores: [store] } = this.#subject
    for (const user of ['ada', 'eve'] as const) {
      const command = { verb: 'list', user } as const
      agree(
        await perform(store, command, this.sids, '', model),
        model.apply(command, this.sids, ''),
        command
      )
    }
  }
}

/** A model in which commands present the generations of the moment before any of them. */
class Fixed {
  readonly inner: Model
  readonly #before: Model
  constructor (before: Model) {
    this.#before = before
    this.inner = before.clone()
  }

  apply (command: Command, sids: string[], own: string): Outcome {
    this.inner.presents = (sid, offset) => this.#before.presents(sid, offset)
    return this.inner.apply(command, sids, own)
  }
}

function * permutations (items: number[]): Generator<number[]> {
  if (items.length === 0) yield []
  for (const item of items) {
    for (const rest of permutations(items.filter((other) => other !== item))) yield [item, ...rest]
  }
}

const bySid = (sessions: Seen[]) => [...sessions].sort((one, other) => one.sid < other.sid ? -1 : 1)

// Sessions that were opened within one millisecond have no order.
function unordered (outcome: Outcome): Outcome {
  if (Array.isArray(outcome)) return bySid(outcome)
  return outcome !== undefined && 'ended' in outcome
    ? { ...outcome, ended: bySid(outcome.ended) }
    : outcome
}

const same = (one: Outcome, other: Outcome) => isDeepStrictEqual(unordered(one), unordered(other))

function agree (store: Outcome, model: Outcome, command: Command): void {
  if (!same(store, model)) {
    throw new Error(
      `${JSON.stringify(command)} came to ${JSON.stringify(store)}, ` +
        `and should have come to ${JSON.stringify(model)}`
    )
  }
}

function properties (t: Test, name: string, subject: () => Promise<Subject>): void {
  t.test(`${name} does what the model does, whatever comes in whatever order`, async () => {
    const commands = fc.array(
      fc.oneof(
        { weight: 5, arbitrary: anyCommand(1, 2, 3, 4, Infinity) },
        { weight: 1, arbitrary: step }
      ),
      { maxLength: 60, size: 'max' }
    )
    await fc.assert(
      fc.asyncProperty(commands, async (commands) => {
        await new Run(await subject()).inTurn(commands)
      }),
      { numRuns: 300 }
    )
  })

  t.test(`${name} does what some order of commands would do when they come at once`, async () => {
    const batch = fc.array(
      anyCommand(1, Infinity) as fc.Arbitrary<Exclude<Command, { verb: 'pass' }>>,
      { minLength: 2, maxLength: 5 }
    )
    const scene = fc.array(
      fc.oneof({ weight: 5, arbitrary: anyCommand(Infinity) }, { weight: 1, arbitrary: step }),
      { maxLength: 10 }
    )
    await fc.assert(fc.asyncProperty(scene, batch, batch, async (scene, ...batches) => {
      for (const batch of batches) {
        const run = new Run(await subject())
        await run.inTurn(scene)
        await run.atOnce(batch)
      }
    }), { numRuns: 100 })
  })
}

properties(t, 'MemoryStore', async () => {
  const clock = new TestClock()
  return { stores: [new MemoryStore(clock)], pass: (ms) => clock.pass(ms), check () {} }
})

t.test('RedisStore', async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  const stores: [Store, Store] = [new RedisStore(server.client()), new RedisStore(server.client())]
  for (const store of stores) await store.open?.(within)
  properties(t, 'RedisStore', async () => {
    await admin.flushall()
    return {
      stores,
      pass: async (ms) => await age(admin, ms),
      check: async () => {
        for (const key of await admin.keys('*')) {
          if (await admin.pttl(key) < 1) throw new Error(`${key} has no TTL`)
        }
      }
    }
  })
})
