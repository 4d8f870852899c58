import fastifyCookie from '@fastify/cookie'
import fastifyCors from '@fastify/cors'
import fastifyCsrf from '@fastify/csrf-protection'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t from 'tap'
import authPlugin, { authenticate, MemoryStore, type AuthPluginOptions } from '../lib/index'
import { secret, TestClock } from './support/app'
import { BindingBrowser } from './support/dbsc/browser'

type Test = InstanceType<typeof import('tap').Test>

interface Front extends Partial<AuthPluginOptions> {
  /** What stands in front of the plugin's routes. */
  front?: (app: FastifyInstance) => unknown
  /** Keeps the offers of logins back. */
  silent?: boolean
}

/** Serves an application that binds sessions. */
async function serve (t: Test, { front, silent, ...options }: Front = {}) {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await front?.(app)
  await app.register(authPlugin, {
    secret,
    store: new MemoryStore(new TestClock()),
    refreshToken: { bindings: ['dbsc'] },
    ...options
  } as AuthPluginOptions)
  app.post('/login', { config: { public: true } }, async (_request, reply) => {
    const tokens = await reply.login({ sub: 'ada' })
    if (silent === true) reply.removeHeader('secure-session-registration')
    return tokens
  })
  return app
}

/** A browser whose requests go to the nodes in turn, except its logins. */
function roaming (login: FastifyInstance, ...nodes: FastifyInstance[]) {
  let turn = 0
  const inject = async (request: { url: string }) => {
    const node = request.url === '/login' ? login : nodes[turn++ % nodes.length]
    return await node?.inject(request as never)
  }
  return new BindingBrowser({ inject } as never)
}

t.test('a guard of the whole application does not shut the device route', async (t) => {
  const guard = async (request: FastifyRequest) => {
    const { config } = request.routeOptions as { config: { public?: boolean } }
    if (config.public !== true) await authenticate(request)
  }
  const app = await serve(t, { front: (app) => app.addHook('onRequest', guard) })
  app.get('/guarded', async () => 'in')
  t.equal((await app.inject('/guarded')).statusCode, 401)
  const browser = new BindingBrowser(app)
  await browser.bind()
  for (let i = 0; i < 3; i++) t.equal((await browser.refresh()).statusCode, 200)
  t.ok(browser.session, 'and no answer of the route has ended the binding')
})

t.test('a check of CSRF tokens ends bindings, unless the route is exempt', async (t) => {
  for (const exempt of [true, false]) {
    const front = async (app: FastifyInstance) => {
      await app.register(fastifyCookie)
      await app.register(fastifyCsrf)
      let isOn = false
      app.addHook('onRequest', (request, reply, done) => {
        const { url = '' } = request.routeOptions
        const own = url.startsWith('/auth/') && (exempt || url !== '/auth/device')
        if (!isOn || own || url === '/login') return done()
        app.csrfProtection(request, reply, done)
      })
      app.decorate('protect', () => { isOn = true })
    }
    const app = await serve(t, { front }) as FastifyInstance & { protect: () => void }
    app.post('/transfer', async () => 'done')
    const browser = new BindingBrowser(app)
    await browser.bind()
    app.protect()
    t.equal((await app.inject({ method: 'POST', url: '/transfer' })).statusCode, 403)
    t.equal((await browser.refresh()).statusCode, exempt ? 200 : 401)
    t.equal(browser.session !== undefined, exempt)
  }
})

t.test('a page on another origin of the site is let in by its trust, not by CORS', async (t) => {
  const origin = 'https://app.example.com'
  const headers = { origin, 'sec-fetch-site': 'same-site', host: 'api.example.com' }
  for (const trustedOrigins of [[origin], []]) {
    const front = (app: FastifyInstance) => app.register(fastifyCors, { origin, credentials: true })
    const app = await serve(t, { front, trustedOrigins })
    const asPage = async (request: { headers?: object }) =>
      await app.inject({ ...request, headers: { ...request.headers, ...headers } })
    const browser = new BindingBrowser({ inject: asPage } as never)
    await browser.login()
    const registered = await browser.register()
    if (trustedOrigins.length === 0) {
      t.equal(registered.json<{ code: string }>().code, 'CROSS_ORIGIN_REQUEST')
      t.match(await app.sessions.list('ada'), [{ bound: null }])
      continue
    }
    t.match(browser.session, { allowed_refresh_initiators: ['app.example.com'] })
    for (let i = 0; i < 3; i++) {
      const response = await browser.refresh()
      t.equal(response.statusCode, 200)
      t.equal(response.headers['access-control-allow-origin'], origin)
    }
  }
})

t.test('with the route everywhere first, the offers can follow node by node', async (t) => {
  const store = new MemoryStore(new TestClock())
  const [old, silent, offering] = [
    await serve(t, { store, refreshToken: {} }),
    await serve(t, { store, silent: true }),
    await serve(t, { store })
  ]
  const unbound = roaming(silent, old, silent)
  await unbound.login()
  t.equal(unbound.offer, undefined, 'a node that keeps its offers back binds nothing')
  for (let i = 0; i < 4; i++) t.equal((await unbound.refresh()).statusCode, 200)

  const bound = roaming(offering, offering, silent, silent)
  await bound.bind()
  for (let i = 0; i < 6; i++) t.equal((await bound.refresh()).statusCode, 200)
  t.ok(bound.session)
  t.match(await silent.sessions.list('ada'), [{ bound: null }, { bound: 'dbsc' }])

  const tooEarly = roaming(offering, offering, old)
  await tooEarly.bind()
  t.equal((await tooEarly.refresh()).statusCode, 401)
  t.equal(tooEarly.session, undefined, 'a node without the route has ended the binding by its 404')
})
