import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import t from 'tap'
import { RedisStore } from '../lib/index'
import { present, type Kept } from '../lib/store/presentation'
import type { HandedOut, Outcome, Rotation } from '../lib/store/store'
import { day, minute, second } from './support/app'
import { Oracle, type Verdict } from './support/oracle'
import { redisFor } from './support/servers/redis'

// Every order of up to six steps that two clients of one cookie jar, a thief and a store which may
// lose its last write can take. What each presentation comes to is held to the contract's tables.

const gracePeriod = 10 * second
// No sum of them is between one grace period and 1.125 of them, where either verdict is right.
const short = 6 * second
const long = 20 * second

/**
 * `jar`: a client presents what the jar holds. `lost`: its answer is lost. `read`: a slow client
 * reads the jar, and `slow`: it presents what it has read. `steal`: a thief copies the jar, and
 * `thief`: presents what he has. `forget`: the store loses its last write.
 */
const moves = ['jar', 'lost', 'read', 'slow', 'steal', 'thief', 'forget', 'short', 'long'] as const
type Move = typeof moves[number]

/** The store's side of a world; a state is never changed. */
interface Store<S> {
  login: () => S
  /** Presents a token at a moment in ms since the login. */
  present: (state: S, rotation: Rotation, now: number) => Promise<[Outcome, S]> | [Outcome, S]
}

interface World<S> {
  now: number
  state: S
  oracle: Oracle
  /** What the store held before its last write. */
  before: { state: S, oracle: Oracle } | undefined
  jar: HandedOut
  slow: HandedOut
  thief: HandedOut | undefined
  /** Whether anything has happened for which a client of the jar may be refused. */
  excused: boolean
}

const first: HandedOut = { generation: 1, at: 0 }
const same = (a: HandedOut, b: HandedOut): boolean => a.generation === b.generation && a.at === b.at

class Explorer<S> {
  histories = 0
  readonly outcomes: Record<string, number> = {}
  readonly #store: Store<S>
  readonly #spentOn: 'issue' | 'use'

  constructor (store: Store<S>, spentOn: 'issue' | 'use') {
    this.#store = store
    this.#spentOn = spentOn
  }

  async explore (steps: number): Promise<void> {
    const state = this.#store.login()
    const oracle = new Oracle()
    const start = { now: 0, state, oracle, before: undefined, jar: first, slow: first }
    await this.#visit({ ...start, thief: undefined, excused: false }, steps, [])
  }

  async #visit (world: World<S>, steps: number, path: Move[]): Promise<void> {
    this.histories++
    if (steps === 0) return
    for (const move of moves) {
      const next = await this.#take(world, move, [...path, move])
      if (next !== undefined) await this.#visit(next, steps - 1, [...path, move])
    }
  }

  // Returns the world after a move; nothing if it would change nothing.
  async #take (world: World<S>, move: Move, path: Move[]): Promise<World<S> | undefined> {
    const { now, jar, slow, thief, before } = world
    switch (move) {
      case 'short': return { ...world, now: now + short }
      case 'long': return { ...world, now: now + long }
      case 'read': return same(jar, slow) ? undefined : { ...world, slow: jar }
      case 'steal':
        return thief !== undefined && same(jar, thief) ? undefined : { ...world, thief: jar }
      case 'forget': return before && { ...world, ...before, before: undefined }
      case 'jar': case 'lost': {
        const [after, next] = await this.#present(world, jar, path)
        if (next === undefined && !world.excused) {
          throw new Error(`${path.join(', ')}: the user is logged out by accident`)
        }
        // Spent on issue, a lost answer costs the login if nobody asks again in time.
        const excused = after.excused || this.#spentOn === 'issue'
        return move === 'lost' ? { ...after, excused } : { ...after, jar: next ?? jar }
      }
      case 'slow': {
        const [after, next] = await this.#present(world, slow, path)
        // One that presents what it has read long ago is as good as a thief.
        const excused = after.excused || !same(slow, jar)
        return { ...after, jar: next ?? jar, excused }
      }
      case 'thief': {
        if (thief === undefined) return undefined
        const [after, next] = await this.#present(world, thief, path)
        return { ...after, thief: next ?? thief, excused: true }
      }
    }
  }

  async #present (
    world: World<S>, token: HandedOut, path: Move[]
  ): Promise<[World<S>, HandedOut | undefined]> {
    const { now, state, oracle } = world
    const rotation: Rotation = {
      sid: 'the session',
      generation: token.generation,
      handedOutAt: token.at,
      spentOn: this.#spentOn,
      gracePeriod,
      signer: 'abc',
      content: undefined,
      idleLifetime: day
    }
    const [verdict, nextOracle] = oracle.present(token, rotation, now)
    const [outcome, nextState] = await this.#store.present(state, rotation, now)
    this.outcomes[outcome.outcome] = (this.outcomes[outcome.outcome] ?? 0) + 1
    const next = 'next' in outcome ? outcome.next : undefined
    agree(path, verdict, outcome.outcome, next)
    const after = { ...world, state: nextState, oracle: nextOracle, before: { state, oracle } }
    return [after, verdict.next]
  }
}

function agree (
  path: Move[], verdict: Verdict, outcome: string, next: HandedOut | undefined
): void {
  const generation = next?.generation
  // The server's clock goes on while the test does.
  const apart = Math.abs((next?.at ?? 0) - (verdict.next?.at ?? 0))
  if (verdict.outcome === outcome && verdict.next?.generation === generation && apart < second) {
    return
  }
  const wanted = `${verdict.outcome} ${JSON.stringify(verdict.next)}`
  throw new Error(`${path.join(', ')}: ${outcome} ${JSON.stringify(next)}; should be ${wanted}`)
}

const memory: Store<Kept | undefined> = {
  login: () => {
    const times = { createdAt: 0, refreshedAt: 0, expiresAt: day, deadline: 90 * day }
    const record = { sid: 'the session', generation: 1, ...times, signer: 'abc', content: '' }
    return { record, marks: [], repeated: false, streak: 0, offered: false }
  },
  present: (kept, rotation, now) => {
    if (kept === undefined) return [{ outcome: 'unknown' }, kept]
    const { outcome, kept: after } = present(kept, rotation, now)
    return [outcome, after]
  }
}

type Fields = Record<string, Buffer>

/** The scripts on a server: a state is what it holds for the session, its creation at 0. */
function redis (client: Redis, store: RedisStore): Store<Fields> {
  const key = 'jwt:{u}'
  const created = (at: number): Buffer => {
    const bytes = Buffer.alloc(6)
    bytes.writeUIntBE(at, 0, 6)
    return bytes
  }
  // Bytes 4 to 9 of a session say when it was created.
  const move = (fields: Fields, createdAt: number): Fields =>
    Object.fromEntries(Object.entries(fields).map(([name, bytes]) => /[:!]$/.test(name)
      ? [name, bytes]
      : [name, Buffer.concat([bytes.subarray(0, 4), created(createdAt), bytes.subarray(10)])]))
  return {
    login: () => {
      const head = Buffer.alloc(28)
      head.writeUIntBE(1, 1, 3)
      head.writeUIntBE(day, 15, 5)
      head.writeUIntBE(90 * day, 20, 5)
      head.write('abc', 25)
      return { 'the session': head }
    },
    present: async (fields, rotation, now) => {
      const serverNow = store.now() ?? Date.now()
      const pipeline = client.pipeline().del(key)
      const moved = Object.entries(move(fields, serverNow - now)).flat()
      if (moved.length > 0) pipeline.hset(key, ...moved).pexpire(key, 90 * day)
      pipeline.exec().catch(() => {})
      const outcome = await store.rotate('u', rotation, minute)
      return [outcome, await client.hgetallBuffer(key)]
    }
  }
}

const soak = Number(process.env['FAULTS_SOAK'] ?? 0) > 0

for (const spentOn of ['issue', 'use'] as const) {
  const title = `spent on ${spentOn}: every order of six steps comes to what the contract says`
  t.test(title, async (t) => {
    const explorer = new Explorer(memory, spentOn)
    await explorer.explore(soak ? 7 : 6)
    t.comment(`${explorer.histories} histories, ${JSON.stringify(explorer.outcomes)}`)
    t.ok(explorer.histories > 100_000)
    for (const outcome of ['rotated', 'repeated', 'reused', 'unknown']) {
      t.ok((explorer.outcomes[outcome] ?? 0) > 100, outcome)
    }
  })

  t.test(`spent on ${spentOn}: so it does by the scripts of Redis`, async (t) => {
    const server = await redisFor(t)
    const client = server.client()
    const store = new RedisStore(client)
    await store.create(randomUUID(), {
      sid: 'x', signer: 'abc', content: '', idleLifetime: day, absoluteLifetime: day, maxSessions: 1
    }, minute)
    const explorer = new Explorer(redis(client, store), spentOn)
    await explorer.explore(soak ? 6 : 5)
    t.comment(`${explorer.histories} histories, ${JSON.stringify(explorer.outcomes)}`)
    t.ok(explorer.histories > 10_000)
  })
}
