import { once } from 'node:events'
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import fastifyAuth from '@fastify/auth'
import fastifyCookie from '@fastify/cookie'
import fastifyCors from '@fastify/cors'
import fastifyCsrf from '@fastify/csrf-protection'
import fastifyHelmet from '@fastify/helmet'
import fastifyJwt from '@fastify/jwt'
import fastifyRateLimit from '@fastify/rate-limit'
import fastifySession from '@fastify/session'
import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import fastifyWebsocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler
} from 'fastify-type-provider-zod'
import t from 'tap'
import { userTagOf } from '../lib/session/content'
import { z } from 'zod'
import authPlugin, { MemoryStore } from '../lib/index'
import type { AuthPluginOptions, Store } from '../lib/index'
import { build, secret, toClient, type Client } from './support/app'
import { hear } from './support/hear'

type Neighbour = (app: FastifyInstance) => PromiseLike<unknown>

/** An application that registers the plugin before or after its neighbours. */
async function beside (
  t: { teardown: (done: () => Promise<unknown>) => unknown },
  order: 'before' | 'after',
  neighbours: Neighbour[],
  options: Partial<AuthPluginOptions> = {}
): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  const ours: Neighbour = async (app) =>
    await app.register(authPlugin, { secret, store: new MemoryStore(), ...options })
  for (const register of order === 'before' ? [ours, ...neighbours] : [...neighbours, ours]) {
    await register(app)
  }
  app.post(
    '/login',
    async (request, reply) => await reply.login({ sub: 'ada', ...(request.body as object) })
  )
  app.get('/me', { onRequest: app.authenticate }, async ({ user, sid }) => ({ user, sid }))
  app.get('/open', async ({ user, sid }) => ({ user, sid }))
  return app
}

async function login (app: FastifyInstance, url = '/login'): Promise<Client> {
  return toClient(await app.inject({ method: 'POST', url }))
}

const orders = ['before', 'after'] as const

t.test('@fastify/auth joins our hook with others by and, and by or', async (t) => {
  const isAdmin = async (request: FastifyRequest) => {
    if ((request.user as { role?: string } | null)?.role !== 'admin') {
      throw Object.assign(new Error('admins only'), { statusCode: 403 })
    }
  }
  const hasApiKey = async (request: FastifyRequest) => {
    if (request.headers['x-api-key'] !== 'key') {
      throw Object.assign(new Error('no key'), { statusCode: 401 })
    }
  }
  const { app, login, me } = await build(t, {
    extend: async (app) => {
      await app.register(fastifyAuth)
      app.get(
        '/and',
        { preHandler: app.auth([app.authenticate, isAdmin], { relation: 'and' }) },
        async ({ user }) => user
      )
      app.get('/or', { onRequest: app.auth([hasApiKey, app.authenticate]) }, async ({ user }) => ({
        user
      }))
      app.get(
        '/call',
        {
          preHandler: app.auth(
            [
              async (request) => {
                await request.authenticate({ live: true })
              },
              isAdmin
            ],
            { relation: 'and' }
          )
        },
        async ({ user }) => user
      )
    }
  })
  const user = await login()
  const admin = await login({ sub: 'eve', role: 'admin' })
  for (const url of ['/and', '/call']) {
    t.match(await me(admin, url), { statusCode: 200 }, url)
    t.match(await me(user, url), { statusCode: 403 }, url)
    const refused = await app.inject(url)
    t.match(refused.json(), { statusCode: 401, code: 'ACCESS_TOKEN_MISSING' }, url)
    t.equal(refused.headers['www-authenticate'], 'Bearer', url)
  }
  t.match((await me(user, '/or')).json(), { user: { sub: 'ada' } })
  t.strictSame((await app.inject({ url: '/or', headers: { 'x-api-key': 'key' } })).json(), {
    user: null
  })
  t.match((await app.inject('/or')).json(), { code: 'ACCESS_TOKEN_MISSING' })
})

t.test('@fastify/rate-limit refuses a refresh before the store is asked, and the token is not spent', async (t) => {
  const memory = new MemoryStore()
  let asked = 0
  const store: Store = new Proxy(memory, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (name !== 'now') asked++
      return member.bind(target)
    }
  })
  const app = await beside(
    t,
    'after',
    [async (app) => await app.register(fastifyRateLimit, { global: false })],
    {
      store,
      routes: { refresh: { config: { rateLimit: { max: 2, timeWindow: '1 minute' } } } },
      refreshToken: { gracePeriod: 0 }
    }
  )
  let { cookie } = await login(app)
  const refresh = async () =>
    await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie } })
  cookie = toClient(await refresh()).cookie
  cookie = toClient(await refresh()).cookie

  asked = 0
  const limited = await refresh()
  t.match(limited, { statusCode: 429, headers: { 'retry-after': '60' } })
  t.notOk(limited.headers['set-cookie'])
  t.equal(asked, 0)
  t.match(await memory.list(userTagOf('ada')), [{ generation: 3 }])
  t.match(
    await app.inject({ method: 'POST', url: '/auth/logout', headers: { cookie } }),
    { statusCode: 204 },
    'the other route is not limited'
  )
})

t.test('@fastify/cors lets the pages of a trusted origin refresh with the cookie, and no others', async (t) => {
  const origin = 'https://app.example.com'
  const app = await beside(
    t,
    'after',
    [
      async (app) =>
        await app.register(fastifyCors, {
          origin: [origin, 'https://evil.example.net'],
          credentials: true
        })
    ],
    { trustedOrigins: [origin] }
  )
  const { cookie } = await login(app)
  const preflight = await app.inject({
    method: 'OPTIONS',
    url: '/auth/refresh',
    headers: { origin, 'access-control-request-method': 'POST' }
  })
  t.match(preflight, {
    statusCode: 204,
    headers: { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }
  })
  const refresh = async (origin: string) =>
    await app.inject({
      method: 'POST',
      url: '/auth/refresh',
      headers: { cookie, origin, 'sec-fetch-site': 'cross-site' }
    })
  const refused = await refresh('https://evil.example.net')
  t.match(
    refused.json(),
    { code: 'CROSS_ORIGIN_REQUEST' },
    'that CORS allows a page to read is not enough'
  )
  const refreshed = await refresh(origin)
  t.match(refreshed, {
    statusCode: 200,
    headers: { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }
  })
  t.equal(toClient(refreshed).cookie.startsWith('__Host-refresh_token='), true)
  const expired = await app.inject({ method: 'POST', url: '/auth/refresh', headers: { origin } })
  t.match(
    expired,
    { statusCode: 401, headers: { 'access-control-allow-origin': origin } },
    'a refusal can be read too'
  )
})

t.test('@fastify/helmet adds its headers to our answers, and takes none of ours', async (t) => {
  for (const order of orders) {
    const app = await beside(t, order, [async (app) => await app.register(fastifyHelmet)])
    const { response, cookie } = await login(app)
    t.match(
      response.headers,
      {
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'set-cookie': /HttpOnly/
      },
      order
    )
    const refreshed = await app.inject({
      method: 'POST',
      url: '/auth/refresh',
      headers: { cookie }
    })
    t.match(refreshed, { statusCode: 200, headers: { 'cache-control': 'no-store' } }, order)
    t.match(
      (await app.inject('/me')).headers,
      { 'www-authenticate': 'Bearer', 'x-frame-options': 'SAMEORIGIN' },
      order
    )
  }
})

t.test('@fastify/swagger documents our routes with request, responses, codes and security schemes', async (t) => {
  const swagger: Neighbour = async (app) =>
    await app.register(fastifySwagger, { openapi: { info: { title: 'test', version: '1' } } })
  const guarded: Neighbour = async (app) => await app.register(async (app) => {
    app.get('/guarded', { schema: { security: [{ accessToken: [] }] } }, async () => null)
  })
  const ui: Neighbour = async (app) => await app.register(fastifySwaggerUi)

  t.test('with the cookie', async (t) => {
    const app = await beside(t, 'after', [swagger, ui], { claims: () => ({}) })
    await guarded(app)
    await app.ready()
    const { paths, components } = app.swagger() as unknown as {
      paths: Record<
        string,
        Record<
          string,
          {
            security: unknown
            requestBody?: object
            responses: Record<string, { description: string }>
          }
        >
      >
      components: { securitySchemes: unknown }
    }
    t.strictSame(components.securitySchemes, {
      accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      refreshToken: { type: 'apiKey', in: 'cookie', name: '__Host-refresh_token' }
    })
    const refresh = paths['/auth/refresh']?.post
    t.strictSame(refresh?.security, [{ refreshToken: [] }])
    t.equal(refresh?.requestBody, undefined)
    t.strictSame(
      Object.entries(refresh?.responses ?? {}).map(([status, { description }]) => [
        status,
        description
      ]),
      [
        ['200', 'The tokens; the cookie is set again'],
        [
          '401',
          'REFRESH_TOKEN_MISSING, REFRESH_TOKEN_INVALID, REFRESH_TOKEN_EXPIRED, REFRESH_TOKEN_REUSED, SESSION_REVOKED'
        ],
        ['403', 'CROSS_ORIGIN_REQUEST'],
        ['503', 'STORE_UNAVAILABLE']
      ]
    )
    const logout = paths['/auth/logout']?.post
    t.strictSame(logout?.security, [{ refreshToken: [] }, { accessToken: [] }, {}])
    t.match(logout?.requestBody, {
      content: { 'application/json': { schema: { properties: { all: { type: 'boolean' } } } } }
    })
    t.strictSame(Object.keys(logout?.responses ?? {}), ['204', '401', '403', '503'])
    t.strictSame(paths['/guarded']?.get?.security, [{ accessToken: [] }])
    t.match(await app.inject('/documentation/json'), { statusCode: 200, body: /auth.refresh/ })
  })

  t.test('with the body, paired, and public keys', async (t) => {
    const { generateKeyPairSync } = await import('node:crypto')
    const { privateKey } = generateKeyPairSync('ed25519')
    const app = await beside(t, 'after', [swagger], {
      secret: { private: privateKey },
      refreshToken: { transports: ['body'], paired: true },
      routes: {
        jwks: true,
        logout: { schema: { tags: ['sessions'] } as object },
        refresh: { schema: { hide: true } as object }
      }
    })
    await app.ready()
    const { paths, components } = app.swagger() as unknown as {
      paths: Record<string, object>
      components: { securitySchemes: object }
    }
    t.strictSame(Object.keys(components.securitySchemes), ['accessToken'])
    t.notOk(paths['/auth/refresh'], "the application's additions have the last word")
    t.match(paths['/auth/logout'], {
      post: {
        tags: ['sessions'],
        summary: 'Logout',
        requestBody: {
          content: {
            'application/json': { schema: { properties: { refresh_token: {}, all: {} } } }
          }
        }
      }
    })
    t.match(paths['/auth/jwks.json'], { get: { security: [], responses: { 200: {} } } })
  })

  t.test('with forms, and metadata', async (t) => {
    const { generateKeyPairSync } = await import('node:crypto')
    const { privateKey } = generateKeyPairSync('ed25519')
    const app = await beside(t, 'after', [swagger], {
      secret: { private: privateKey },
      accessToken: { issuer: 'https://example.com/auth' },
      refreshToken: { transports: ['body'] },
      routes: { metadata: true }
    })
    await app.ready()
    const { paths } = app.swagger() as unknown as { paths: Record<string, object> }
    const verdict = { schema: { required: ['error', 'error_description'] } }
    const form = (properties: object): object => ({
      post: {
        requestBody: {
          content: { 'application/x-www-form-urlencoded': { schema: { properties } } }
        },
        responses: { 400: { content: { 'application/json': verdict } } }
      }
    })
    t.match(
      paths['/auth/refresh'],
      form({ grant_type: { enum: ['refresh_token'] }, refresh_token: {} })
    )
    t.match(paths['/auth/logout'], form({ token: {}, refresh_token: {} }))
    t.match(paths['/auth/.well-known/openid-configuration'], {
      get: { security: [], responses: { 200: {} } }
    })
  })

  t.test('with both transports', async (t) => {
    const store = Object.assign(new MemoryStore(), {
      replication: () => ({ confirm: async () => 1, close () {} })
    })
    const app = await beside(t, 'after', [swagger], {
      store,
      durability: { replicas: 1 },
      refreshToken: { transports: ['cookie', 'body'], paired: true }
    })
    await app.ready()
    const { paths } = app.swagger() as unknown as { paths: Record<string, object> }
    t.match(paths['/auth/refresh'], {
      post: {
        security: [{ refreshToken: [], accessToken: [] }],
        requestBody: {
          content: {
            'application/json': { schema: { properties: { refresh_token: { type: 'string' } } } }
          }
        },
        responses: {
          200: {
            content: {
              'application/json': { schema: { properties: { refresh_token: { type: 'string' } } } }
            }
          },
          401: { description: /ACCESS_TOKEN_MISSING, ACCESS_TOKEN_INVALID/ }
        }
      }
    })
    t.match(
      paths['/auth/logout'],
      { post: { responses: { 202: { description: /replicas/ }, 204: {} } } },
      'with durability'
    )
  })

  t.test('in a document of Swagger 2, without security', async (t) => {
    const app = await beside(t, 'after', [
      async (app) =>
        await app.register(fastifySwagger, { swagger: { info: { title: 'test', version: '1' } } })
    ])
    await app.ready()
    const { paths } = app.swagger() as unknown as { paths: Record<string, { post?: object }> }
    t.match(paths['/auth/refresh'], { post: { responses: { 401: {} } } })
    t.notOk('security' in (paths['/auth/refresh']?.post ?? {}))
  })

  t.test("whatever compilers the application has set, and its answers' shape stays the same", async (t) => {
    const zod: Neighbour = async (app) => {
      app.setValidatorCompiler(validatorCompiler)
      app.setSerializerCompiler(serializerCompiler)
      await app.register(fastifySwagger, {
        openapi: { info: { title: 'test', version: '1' } },
        transform: jsonSchemaTransform
      })
      app.setErrorHandler(async (error, _request, reply) => {
        const { code, statusCode = 500 } = error as { code: string, statusCode?: number }
        return await reply.code(statusCode).send([{ problem: code }])
      })
    }
    const app = await beside(t, 'after', [zod])
    app.post(
      '/typed',
      {
        schema: {
          body: z.object({ n: z.number() }),
          response: { 200: z.object({ n: z.number() }) }
        }
      },
      async (request) => request.body
    )
    t.match(await app.inject({ method: 'POST', url: '/typed', payload: { n: 1 } }), {
      statusCode: 200
    })
    const { cookie } = await login(app)
    t.match(
      await app.inject({
        method: 'POST',
        url: '/auth/refresh',
        headers: { cookie, 'content-type': 'application/json' }
      }),
      { statusCode: 200 },
      'without a body'
    )
    const refused = await app.inject({ method: 'POST', url: '/auth/refresh' })
    t.equal(refused.statusCode, 401)
    t.strictSame(refused.json(), [{ problem: 'REFRESH_TOKEN_MISSING' }])
    t.ok((app.swagger() as unknown as { paths: Record<string, object> }).paths['/auth/refresh'])
  })
})

t.test('@fastify/csrf-protection guards forms beside us, and no answer loses a cookie', async (t) => {
  for (const order of orders) {
    const app = await beside(t, order, [
      async (app) => { if (!app.hasPlugin('@fastify/cookie')) await app.register(fastifyCookie) },
      async (app) => await app.register(fastifyCsrf)
    ])
    app.post('/form', async (_request, reply) => ({
      csrf: reply.generateCsrf(),
      ...(await reply.login({ sub: 'ada' }))
    }))
    app.post('/guarded', { onRequest: [app.authenticate, app.csrfProtection] }, async () => 'done')
    const response = await app.inject({ method: 'POST', url: '/form' })
    t.strictSame(
      response.cookies.map(({ name }) => name).sort(),
      ['__Host-refresh_token', '_csrf'],
      order
    )
    const { authorization, cookie } = toClient(response)
    const { csrf } = response.json<{ csrf: string }>()
    const own = response.cookies.find(({ name }) => name === '_csrf')
    const headers = { authorization, cookie: `_csrf=${own?.value}; ${cookie}` }
    t.match(
      await app.inject({ method: 'POST', url: '/guarded', headers }),
      { statusCode: 403 },
      order
    )
    t.match(
      await app.inject({
        method: 'POST',
        url: '/guarded',
        headers: { ...headers, 'csrf-token': csrf }
      }),
      { statusCode: 200 },
      order
    )
    t.match(
      await app.inject({ method: 'POST', url: '/auth/refresh', headers }),
      { statusCode: 200 },
      order
    )
  }
})

t.test('@fastify/session and @fastify/cookie live beside us, and no answer loses a cookie', async (t) => {
  for (const order of orders) {
    const app = await beside(t, order, [
      async (app) =>
        await app.register(fastifyCookie, { secret: 'a secret of the application itself' }),
      async (app) =>
        await app.register(fastifySession, {
          secret: 'a secret of thirty-two bytes or more too',
          cookie: { secure: false }
        })
    ])
    app.post('/all', async (request, reply) => {
      request.session.set('cart' as never, ['book'] as never)
      reply.setCookie('theme', 'dark', { signed: true })
      return await reply.login({ sub: 'ada' })
    })
    app.get('/cart', async (request) => ({
      cart: request.session.get('cart' as never),
      theme: request.unsignCookie(request.cookies.theme ?? '').value
    }))
    const response = await app.inject({ method: 'POST', url: '/all' })
    t.strictSame(
      response.cookies.map(({ name }) => name).sort(),
      ['__Host-refresh_token', 'sessionId', 'theme'],
      order
    )
    const cookie = response.cookies
      .map(({ name, value }) => `${name}=${encodeURIComponent(value)}`)
      .join('; ')
    t.strictSame(
      (await app.inject({ url: '/cart', headers: { cookie } })).json(),
      { cart: ['book'], theme: 'dark' },
      order
    )
    const refreshed = await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie } })
    t.match(toClient(refreshed), { refreshToken: /^ey/ }, order)
    t.match(
      await app.inject({ method: 'POST', url: '/auth/logout', headers: { cookie } }),
      { statusCode: 204 },
      order
    )
  }
})

t.test("the application's own @fastify/jwt keeps its name, its key and its tokens", async (t) => {
  for (const order of orders) {
    const app = await beside(t, order, [
      async (app) => await app.register(fastifyJwt, { secret: 'the key of the application itself' })
    ])
    app.get('/own', async (request) => { await request.jwtVerify(); return request.user })
    t.strictSame((await app.inject('/open')).json(), { user: null, sid: null }, order)
    const { authorization } = await login(app)
    const own = `Bearer ${app.jwt.sign({ sub: 'bot' })}`
    t.match(
      (await app.inject({ url: '/own', headers: { authorization: own } })).json(),
      { sub: 'bot' },
      order
    )
    t.match(
      (await app.inject({ url: '/me', headers: { authorization } })).json(),
      { user: { sub: 'ada' } },
      order
    )
    t.match(
      (await app.inject({ url: '/me', headers: { authorization: own } })).json(),
      { code: 'ACCESS_TOKEN_INVALID' },
      order
    )
    t.match(
      await app.inject({ url: '/own', headers: { authorization } }),
      { statusCode: 401 },
      order
    )
  }
})

t.test('@fastify/websocket authenticates the upgrade, also by the subprotocol that a browser can send', async (t) => {
  const app = await beside(t, 'before', [
    async (app) =>
      await app.register(fastifyWebsocket, {
        options: {
          handleProtocols: (protocols: Set<string>) => (protocols.has('v1') ? 'v1' : false)
        }
      })
  ])
  const fromProtocol = async (request: FastifyRequest) => {
    const [, token] =
      /(?:^|,\s*)access_token\.([\w.-]+)/.exec(request.headers['sec-websocket-protocol'] ?? '') ??
      []
    if (token !== undefined) request.headers.authorization = `Bearer ${token}`
  }
  app.get(
    '/news',
    { websocket: true, onRequest: [fromProtocol, app.authenticate] },
    (socket, { user }) => {
      socket.send(JSON.stringify(user))
    }
  )
  const { body, authorization } = await login(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.match(JSON.parse(await hear(app, '/news', { authorization })), { sub: 'ada' })
  const protocols = ['v1', `access_token.${body.access_token}`]
  t.match(JSON.parse(await hear(app, '/news', {}, protocols)), { sub: 'ada' })
  await t.rejects(hear(app, '/news', {}), { message: /401/ })
  await t.rejects(hear(app, '/news', { authorization: 'Bearer no' }), { message: /401/ })
})

t.test('two instances in sibling scopes serve two kinds of users, who never meet', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  const area = (audience: string): Neighbour => async (app) => await app.register(async (scope) => {
    await scope.register(authPlugin, {
      secret,
      store: new MemoryStore(),
      accessToken: { audience },
      refreshToken: { cookie: { name: `${audience}_token` } }
    })
    scope.post('/login', async (_request, reply) => await reply.login({ sub: `${audience}:1` }))
    scope.get('/me', { onRequest: scope.authenticate }, async ({ user }) => user)
  }, { prefix: `/${audience}` })
  await area('shop')(app)
  await area('staff')(app)
  const shop = await app.inject({ method: 'POST', url: '/shop/login' })
  const [cookie] = shop.cookies
  t.match(cookie, { name: 'shop_token', path: '/shop' })
  const authorization = `Bearer ${shop.json<{ access_token: string }>().access_token}`
  t.match(await app.inject({ url: '/shop/me', headers: { authorization } }), { statusCode: 200 })
  t.match((await app.inject({ url: '/staff/me', headers: { authorization } })).json(), {
    code: 'ACCESS_TOKEN_INVALID'
  })
  const headers = { cookie: `shop_token=${cookie?.value}` }
  t.match(await app.inject({ method: 'POST', url: '/shop/auth/refresh', headers }), {
    statusCode: 200
  })
  t.match((await app.inject({ method: 'POST', url: '/staff/auth/refresh', headers })).json(), {
    code: 'REFRESH_TOKEN_MISSING'
  })
  const moved = { cookie: `staff_token=${cookie?.value}` }
  t.match(
    (await app.inject({ method: 'POST', url: '/staff/auth/refresh', headers: moved })).json(),
    { code: 'REFRESH_TOKEN_INVALID' },
    'not even by the other name'
  )
  t.notOk(app.hasDecorator('authenticate'), 'nothing leaks out of a scope')
})

t.test('over HTTP/2 the host is known, cookies that come in pieces are read, and the hook guards', async (t) => {
  const app = Fastify({ http2: true })
  t.teardown(async () => await app.close())
  await app.register(authPlugin, { secret, store: new MemoryStore() })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  const session = connect(origin)
  t.teardown(() => { session.close() })
  const send = async (method: string, path: string, headers: OutgoingHttpHeaders = {}) => {
    const stream = session.request({ ':method': method, ':path': path, ...headers })
    stream.end()
    const [answered] = await once(stream, 'response') as [IncomingHttpHeaders]
    return {
      headers: answered,
      status: answered[':status'],
      body: JSON.parse((await text(stream)) || 'null') as Record<string, unknown>
    }
  }
  const login = await send('POST', '/login')
  const [set = ''] = login.headers['set-cookie'] ?? []
  const cookie = ['theme=dark', set.slice(0, set.indexOf(';'))]
  t.match(
    await send('GET', '/me', { authorization: `Bearer ${String(login.body.access_token)}` }),
    { status: 200, body: { sub: 'ada' } }
  )
  t.match(await send('GET', '/me'), { status: 401, headers: { 'www-authenticate': 'Bearer' } })
  t.match(await send('POST', '/auth/refresh', { cookie, origin: 'http://evil.example' }), {
    status: 403
  })
  t.match(await send('POST', '/auth/refresh', { cookie, origin }), {
    status: 200,
    headers: { 'cache-control': 'no-store' }
  })
})
