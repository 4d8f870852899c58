import fc from 'fast-check'
import t from 'tap'
import { MemoryStore, type AuthPluginOptions } from '../lib/index'
import { TestClock, build, minute, peek, toClient, type TestApp } from './support/app'
import {
  Model,
  absoluteLifetime,
  graces,
  idleLifetime,
  sidAt,
  type Command,
  type Outcome,
  type Seen,
  type User
} from './support/model'
import { redisFor } from './support/servers/redis'
import { age } from './support/age'

type Test = InstanceType<typeof import('tap').Test>

/**
 * What users and their devices do, over HTTP. `of` numbers the sessions in the order of their
 * logins, `back` generations.
 */
type Step =
  | { act: 'login', user: User }
  | { act: 'refresh', of: number, back: number }
  | { act: 'logout', of: number, back: number, all: boolean }
  | { act: 'revoke', user: User, of: number }
  | { act: 'revokeAll', user: User, except: number | undefined }
  | { act: 'pass', minutes: number }

/** A login, and all that its device was ever given. */
interface Device {
  user: User
  name: string
  sid: string
  authorization: string
  cookies: Map<number, string>
}

interface Backend {
  node: TestApp
  now: () => number
  pass: (ms: number) => Promise<void> | void
  /** Tokens keep their times when those of sessions are aged. */
  ages: boolean
}

const user = fc.constantFrom<User[]>('ada', 'ada', 'eve')
const of = fc.nat(7)
const back = fc.constantFrom(0, 0, 0, 1, 1, 2, 3)
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ act: fc.constant('login' as const), user }) },
    { weight: 8, arbitrary: fc.record({ act: fc.constant('refresh' as const), of, back }) },
    {
      weight: 2,
      arbitrary: fc.record({ act: fc.constant('logout' as const), of, back, all: fc.boolean() })
    },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('revoke' as const), user, of }) },
    {
      weight: 1,
      arbitrary: fc.record({
        act: fc.constant('revokeAll' as const),
        user,
        except: fc.option(of, { nil: undefined })
      })
    },
    {
      weight: 3,
      arbitrary: fc.record({
        act: fc.constant('pass' as const),
        minutes: fc.constantFrom(1, 1, 2, 3, 9, 11)
      })
    }
  ),
  { minLength: 5, maxLength: 30, size: 'max' }
)

const maxSessions = 3

/** One run: the application and the model side by side. */
class Scene {
  readonly #model = new Model()
  readonly #devices: Device[] = []
  readonly #backend: Backend

  constructor (backend: Backend) {
    this.#backend = backend
  }

  async play (steps: Step[]): Promise<void> {
    for (const step of steps) {
      const problem = (await this.#do(step)) ?? (await this.#look())
      if (problem !== undefined) throw new Error(`${JSON.stringify(step)}: ${problem}`)
    }
    const problem = await this.#ask()
    if (problem !== undefined) throw new Error(problem)
  }

  /** Does one step on both sides; answers in what they differ. */
  async #do (step: Step): Promise<string | undefined> {
    const { node, pass } = this.#backend
    switch (step.act) {
      case 'pass':
        this.#apply({ verb: 'pass', minutes: step.minutes })
        await pass(step.minutes * minute)
        return undefined
      case 'login':
        return await this.#login(step.user)
      case 'revoke': {
        const device = this.#device(step.of)
        const ended = this.#apply({ verb: 'end', user: step.user, of: step.of }) !== undefined
        return differ(await node.app.sessions.revoke(step.user, device?.sid ?? 'none'), ended)
      }
      case 'revokeAll': {
        const except = step.except === undefined ? undefined : this.#device(step.except)?.sid
        const ended = this.#apply({
          verb: 'endAll',
          user: step.user,
          except: except === undefined ? undefined : step.except,
          witness: undefined
        }) as Seen[]
        return differ(await node.app.sessions.revokeAll(step.user, { except }), ended.length)
      }
    }
    const device = this.#device(step.of)
    if (device === undefined) return undefined
    const cookie = device.cookies.get(this.#model.presents(device.name, -step.back)) ?? ''
    const expired =
      Number(peek(cookie.slice(cookie.indexOf('=') + 1)).exp) * 1000 <= this.#backend.now()
    return step.act === 'refresh'
      ? await this.#refresh(device, step, cookie, expired)
      : await this.#logout(device, step, cookie, expired)
  }

  async #login (user: User): Promise<string | undefined> {
    const client = await this.#backend.node.login({ sub: user })
    const name = sidAt(this.#devices.length)
    this.#devices.push({
      user,
      name,
      sid: String(peek(client.body.access_token).sid),
      authorization: client.authorization,
      cookies: new Map([[1, client.cookie]])
    })
    this.#model.apply({ verb: 'create', user, maxSessions }, [], name)
    return undefined
  }

  async #refresh (
    device: Device,
    { of, back }: { of: number, back: number },
    cookie: string,
    expired: boolean
  ): Promise<string | undefined> {
    const response = await this.#backend.node.refresh({ cookie })
    if (expired) return differ(response.json().code, 'REFRESH_TOKEN_EXPIRED')
    const { outcome, session } = this.#apply({
      verb: 'rotate',
      user: device.user,
      of,
      offset: -back,
      grace: 'short',
      content: undefined
    }) as { outcome: string, session?: Seen }
    if (outcome === 'unknown') return differ(response.json().code, 'REFRESH_TOKEN_INVALID')
    if (outcome === 'reused') return differ(response.json().code, 'REFRESH_TOKEN_REUSED')
    const client = toClient(response)
    const generation = session?.generation ?? 0
    if (outcome === 'repeated' && !this.#backend.ages) {
      return differ(client.cookie, device.cookies.get(generation))
    }
    device.cookies.set(generation, client.cookie)
    device.authorization = client.authorization
    return differ(peek(client.refreshToken).gen, generation)
  }

  async #logout (
    { user }: Device,
    { of, back, all }: { of: number, back: number, all: boolean },
    cookie: string,
    expired: boolean
  ): Promise<string | undefined> {
    const response = await this.#backend.node.logout({ cookie }, { payload: { all } })
    if (!all) {
      this.#apply({ verb: 'end', user, of })
      return differ(response.statusCode, 204)
    }
    // All of them end by a token that a refresh would not refuse; a reuse is one here too.
    if (expired) return differ(response.json().code, 'REFRESH_TOKEN_EXPIRED')
    const rotate = {
      verb: 'rotate',
      user,
      of,
      offset: -back,
      grace: 'short',
      content: undefined
    } as const
    const { outcome } = this.#apply(rotate, this.#model.clone()) as { outcome: string }
    if (outcome === 'unknown') return differ(response.json().code, 'REFRESH_TOKEN_INVALID')
    if (outcome === 'reused') {
      this.#apply(rotate)
      return differ(response.json().code, 'REFRESH_TOKEN_REUSED')
    }
    this.#apply({ verb: 'endAll', user, except: undefined, witness: of })
    return differ(response.statusCode, 204)
  }

  /** Compares the lists; answers in what they differ. */
  async #look (): Promise<string | undefined> {
    const listed: string[] = []
    for (const user of ['ada', 'eve']) {
      for (const { sid, generation } of await this.#backend.node.app.sessions.list(user)) {
        listed.push(`${this.#devices.find((device) => device.sid === sid)?.name} ${generation}`)
      }
    }
    return differ(
      listed.sort().join(),
      this.#living()
        .map(({ sid, generation }) => `${sid} ${generation}`)
        .sort()
        .join()
    )
  }

  /** Asks for each session that ever was whether it lives. */
  async #ask (): Promise<string | undefined> {
    const living = this.#living().map(({ sid }) => sid)
    for (const { name, authorization } of this.#devices) {
      const { code = 'in' } = (await this.#backend.node.me({ authorization }, '/live')).json()
      if (code !== 'ACCESS_TOKEN_EXPIRED' && (code === 'in') !== living.includes(name)) {
        return `${name} is ${code}`
      }
    }
    return undefined
  }

  #living (): Seen[] {
    return (['ada', 'eve'] as const).flatMap(
      (user) => this.#apply({ verb: 'list', user }) as Seen[]
    )
  }

  #apply (command: Command, model = this.#model): Outcome {
    return model.apply(
      command,
      this.#devices.map(({ name }) => name),
      ''
    )
  }

  #device (number: number): Device | undefined {
    return this.#devices[number % this.#devices.length]
  }
}

const differ = (real: unknown, expected: unknown): string | undefined =>
  real === expected ? undefined : `${String(real)} instead of ${String(expected)}`

const options: Partial<AuthPluginOptions> = {
  maxSessions,
  accessToken: { lifetime: '1h' },
  refreshToken: {
    idleLifetime: idleLifetime / 1000,
    absoluteLifetime: absoluteLifetime / 1000,
    gracePeriod: graces.short / 1000
  }
}

function property (
  t: Test,
  name: string,
  backend: (t: Test) => Promise<() => Promise<Backend> | Backend>
): void {
  t.test(
    `${name}: whatever users, devices and thieves do in whatever order, the application does what the model does`,
    async (t) => {
      const fresh = await backend(t)
      await fc.assert(
        fc.asyncProperty(steps, async (steps) => {
          await new Scene(await fresh()).play(steps)
        }),
        { numRuns: 40 }
      )
    }
  )
}

property(t, 'in memory', async (t) => {
  const clock = new TestClock()
  const node = await build(t, { ...options, store: new MemoryStore(clock) })
  return async () => {
    for (const user of ['ada', 'eve']) await node.app.sessions.revokeAll(user)
    return { node, now: clock.now, pass: (ms) => clock.pass(ms), ages: false }
  }
})

property(t, 'on Redis', async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  const node = await build(t, { ...options, redis: server.client() })
  return async () => {
    await admin.flushall()
    return { node, now: Date.now, pass: async (ms) => await age(admin, ms), ages: true }
  }
})
