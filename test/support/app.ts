import Fastify, {
  type FastifyInstance,
  type FastifyServerOptions,
  type InjectOptions,
  type LightMyRequestResponse
} from 'fastify'
import authPlugin, { MemoryStore } from '../../lib/index'
import type { AuthPluginOptions, LoginOptions, TokenResponse } from '../../lib/index'

export const secret = 'a secret of thirty-two bytes or more'

/** A clock that a test sets. */
export class TestClock {
  #ms = Date.UTC(2026, 0, 1)
  /** Its one member of its own: it is given to MemoryStore as its options. */
  readonly now = () => this.#ms
  get ms (): number { return this.#ms }
  set ms (ms: number) { this.#ms = ms }
  pass (ms: number): void { this.ms += ms }
}

/** A machine under load is slow to answer; most tests are not about how long it may take. */
export const patient = { storeTimeout: 5 }

export const second = 1000
export const minute = 60 * second
export const hour = 60 * minute
export const day = 24 * hour

/** What a client holds after a login or a refresh. */
export interface Client {
  body: TokenResponse & { access_token: string }
  response: LightMyRequestResponse
  /** The refresh token, by whichever transport it came. */
  refreshToken: string
  /** The Cookie header that a browser would send. */
  cookie: string
  authorization: string
}

export interface TestApp {
  app: FastifyInstance
  clock: TestClock
  /** Logs in by a route of the application's. */
  login: (claims?: object, options?: LoginOptions) => Promise<Client>
  refresh: (
    client: Pick<Client, 'cookie'>,
    options?: InjectOptions
  ) => Promise<LightMyRequestResponse>
  logout: (
    client: Pick<Client, 'cookie'>,
    options?: InjectOptions
  ) => Promise<LightMyRequestResponse>
  /** Calls a guarded route, `/me` unless told otherwise. */
  me: (client: Pick<Client, 'authorization'>, url?: string) => Promise<LightMyRequestResponse>
}

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }
type Setup = Partial<AuthPluginOptions> & {
  server?: FastifyServerOptions
  extend?: (app: FastifyInstance) => void | Promise<void>
}

/**
 * Builds an application around the plugin, on a memory store with a clock of its own unless another
 * store is given.
 */
export async function build (
  t: Teardown,
  { server, extend, ...options }: Setup = {}
): Promise<TestApp> {
  const clock = new TestClock()
  const app = Fastify(server)
  t.teardown(async () => await app.close())
  const store =
    options.redis === undefined && options.store === undefined
      ? { store: new MemoryStore(clock) }
      : {}
  await app.register(authPlugin, { secret, ...patient, ...store, ...options } as AuthPluginOptions)
  app.post('/login', async (request, reply) => {
    const { claims, options } = request.body as { claims: { sub: string }; options?: LoginOptions }
    return await reply.login(claims, options)
  })
  app.get('/me', { onRequest: app.authenticate }, async ({ user, sid }) => ({ user, sid }))
  app.get(
    '/live',
    {
      preHandler: async (request) => {
        await request.authenticate({ live: true })
      }
    },
    async ({ user, sid }) => ({ user, sid })
  )
  await extend?.(app)
  await app.ready()
  return {
    app,
    clock,
    login: async (claims = { sub: 'ada' }, options) =>
      toClient(await app.inject({ method: 'POST', url: '/login', payload: { claims, options } })),
    refresh: async ({ cookie }, more = {}) =>
      await app.inject({
        method: 'POST',
        url: '/auth/refresh',
        ...more,
        headers: { cookie, ...more.headers }
      }),
    logout: async ({ cookie }, more = {}) =>
      await app.inject({
        method: 'POST',
        url: '/auth/logout',
        ...more,
        headers: { cookie, ...more.headers }
      }),
    me: async ({ authorization }, url = '/me') =>
      await app.inject({ url, headers: { authorization } })
  }
}

/** What a client holds after this response. @throws where it is not a token response */
export function toClient (response: LightMyRequestResponse): Client {
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${response.body}`)
  const body = response.json<Client['body']>()
  const set = response.cookies.find(({ name }) => name.endsWith('refresh_token'))
  const refreshToken = body.refresh_token ?? set?.value ?? ''
  return {
    body,
    response,
    refreshToken,
    cookie: `${set?.name}=${refreshToken}`,
    authorization: `Bearer ${body.access_token}`
  }
}

/** A part of a token, unverified: 0 is the header, 1 the payload. */
export function peek (token: string, part: 0 | 1 = 1): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[part] ?? '', 'base64url').toString())
}
