import Fastify, {
  type FastifyInstance, type FastifyServerOptions, type InjectOptions, type LightMyRequestResponse
} from 'fastify'
import t, { type Test } from 'tap'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../lib/index'
import { minute, patient, secret, TestClock } from './app'
import { redisFor } from './servers/redis'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

/** Options of the plugin, what else the application has, and how its server is. */
export type Options = Partial<AuthPluginOptions> & {
  extend?: (app: FastifyInstance) => unknown
  server?: FastifyServerOptions
}

export const access = '__Host-access_token'
export const refresh = '__Host-refresh_token'
/** After this time an access cookie has run out. */
export const runOut = 31 * minute

/** The cookies of a browser. */
export class Jar {
  readonly cookies = new Map<string, string>()

  get header (): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  take ({ cookies }: Pick<LightMyRequestResponse, 'cookies'>): void {
    for (const { name, value, maxAge } of cookies) {
      if (maxAge === 0) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
  }

  /** A thief's, or a browser's that has yet to be given an answer. */
  copy (...names: string[]): Jar {
    const copy = new Jar()
    for (const [name, value] of this.cookies) {
      if (names.length === 0 || names.includes(name)) copy.cookies.set(name, value)
    }
    return copy
  }
}

/** Builds an application in cookie mode, on a memory store with a clock unless another is given. */
export async function start (t: Teardown, { extend, server, ...options }: Options = {}) {
  const clock = new TestClock()
  const app = Fastify(server)
  t.teardown(async () => await app.close())
  const store = options.redis === undefined ? { store: new MemoryStore(clock) } : {}
  const accessToken = { cookie: true }
  await app.register(authPlugin, { secret, accessToken, ...patient, ...store, ...options })
  app.post('/login', async (request, reply) =>
    await reply.login(...request.body as [{ sub: string }, object]))
  app.post('/leave', { onRequest: app.authenticate }, async (_request, reply) => {
    await reply.logout()
    return {}
  })
  app.all('/me', { onRequest: app.authenticate }, async ({ user, sid }) => ({ user, sid }))
  await extend?.(app)
  await app.ready()

  async function send (jar: Jar, url: string, more: InjectOptions = {}) {
    const headers = { ...jar.header === '' ? {} : { cookie: jar.header }, ...more.headers }
    return await app.inject({ url, ...more, headers })
  }
  /** Sends, and takes the cookies of the answer. */
  async function visit (jar: Jar, url: string, more?: InjectOptions) {
    const response = await send(jar, url, more)
    jar.take(response)
    return response
  }
  async function login (claims: object = { sub: 'ada' }, loginOptions: object = {}) {
    const jar = new Jar()
    const payload = [claims, loginOptions]
    return Object.assign(jar, { response: await visit(jar, '/login', { method: 'POST', payload }) })
  }
  return { app, clock, send, visit, login }
}

/** The names of the cookies that an answer sets or clears. */
export const namesOf = ({ cookies }: LightMyRequestResponse): string[] =>
  cookies.map(({ name }) => name)

/** An application in cookie mode, and what a test does with it. */
export type App = Awaited<ReturnType<typeof start>>

/** What a test on both stores is given. */
export interface Both {
  begin: (options?: Options) => Promise<App>
  /** Lets the access cookie run out, as far as its browser is concerned. */
  expire: (app: App, jar: Jar) => void
}

/** Runs a test on both stores. */
export function onBoth (title: string, run: (t: Test, both: Both) => Promise<void>): void {
  t.test(`${title}: MemoryStore`, async (t) => {
    const begin = async (options: Options = {}): Promise<App> => await start(t, options)
    await run(t, { begin, expire: ({ clock }) => { clock.pass(runOut) } })
  })
  t.test(`${title}: RedisStore`, async (t) => {
    const redis = (await redisFor(t)).client()
    const begin = async (options: Options = {}): Promise<App> =>
      await start(t, { redis, ...options })
    // Its clock cannot be set. Browsers forget a cookie whose Max-Age has passed.
    await run(t, { begin, expire: (_app, jar) => { jar.cookies.delete(access) } })
  })
}
