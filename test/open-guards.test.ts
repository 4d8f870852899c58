import { connect } from 'node:http2'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import fastifyAuth from '@fastify/auth'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import authPlugin, { authenticate, MemoryStore } from '../lib/index'
import { build, hour, secret, toClient } from './support/app'

const store = () => new MemoryStore()

t.test('the imported hook guards a route that stands before the registration', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  // As CommonJS without `await` has it: the decorator is not there yet, the hook is.
  app.register(authPlugin, { secret, store: store() })
  app.get('/me', { onRequest: authenticate }, async ({ user }) => user)
  app.get(
    '/promise',
    {
      preHandler: async (request) => {
        await authenticate(request)
      }
    },
    async ({ user }) => user
  )
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  for (const url of ['/me', '/promise']) {
    const refused = await app.inject({ url })
    t.match(refused.json(), { statusCode: 401, code: 'ACCESS_TOKEN_MISSING' })
    t.equal(refused.headers['www-authenticate'], 'Bearer')
  }
  const { authorization } = toClient(await app.inject({ method: 'POST', url: '/login' }))
  for (const url of ['/me', '/promise']) {
    t.match((await app.inject({ url, headers: { authorization } })).json(), { sub: 'ada' })
  }
})

t.test('the imported hook fails closed where the plugin is not registered in the scope of the route', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  app.get('/me', { onRequest: authenticate }, async () => 'open')
  app.get(
    '/promise',
    {
      preHandler: async (request) => {
        await authenticate(request)
      }
    },
    async () => 'open'
  )
  await app.register(async (scope) => {
    await scope.register(authPlugin, { secret, store: store() })
  })
  for (const url of ['/me', '/promise']) {
    t.match((await app.inject({ url })).json(), { statusCode: 500, code: 'NOT_REGISTERED' })
  }
})

for (const [title, extend] of Object.entries<(app: FastifyInstance) => unknown>({
  'an error handler that waits': (app) => app.setErrorHandler(async (error, _request, reply) => {
    await setImmediate()
    return await reply.code(500).send(error)
  }),
  'an onError hook that waits': (app) => app.addHook('onError', async () => await setImmediate()),
  'an onSend hook that waits': (app) => app.addHook('onSend', async () => await setImmediate())
})) {
  t.test(`a guard that refuses lets nobody through, whatever takes its time then: ${title}`, async (t) => {
    const app = Fastify()
    t.teardown(async () => await app.close())
    let entered = 0
    const enter = async (): Promise<string> => {
      entered++
      return 'open'
    }
    await extend(app)
    app.get('/outside', { onRequest: authenticate }, enter)
    await app.register(async (scope) => {
      await scope.register(authPlugin, { secret, store: store() })
      scope.get('/imported', { onRequest: authenticate }, enter)
      scope.get('/decorated', { onRequest: scope.authenticate }, enter)
    })
    t.match((await app.inject({ url: '/outside' })).json(), { code: 'NOT_REGISTERED' })
    for (const url of ['/imported', '/decorated']) {
      t.match((await app.inject({ url })).json(), { code: 'ACCESS_TOKEN_MISSING' }, url)
    }
    await setImmediate()
    t.equal(entered, 0)
  })
}

t.test('a guard of the whole application leaves the routes of the plugin open to what they are for', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(authPlugin, {
    secret,
    store: store(),
    refreshToken: { transports: ['cookie', 'body'] }
  })
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.url !== '/login') await request.authenticate()
  })
  app.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.url === '/login') return done()
    authenticate(request, reply, done)
  })
  app.addHook('preHandler', async (request) => {
    if (request.routeOptions.url !== '/login') {
      await request.authenticate({ live: true, maxAge: '1h' })
    }
  })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  app.get('/me', async ({ user }) => user)
  const client = toClient(await app.inject({ method: 'POST', url: '/login' }))
  const next = toClient(
    await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie: client.cookie } })
  )
  t.equal((await app.inject({ url: '/me' })).json().code, 'ACCESS_TOKEN_MISSING')
  t.equal(
    (await app.inject({ url: '/me', headers: { authorization: next.authorization } })).statusCode,
    200
  )
  t.equal(
    (await app.inject({ method: 'POST', url: '/auth/logout', headers: { cookie: next.cookie } }))
      .statusCode,
    204
  )
})

t.test('the headers of a refusal reach the client through an error handler of the application', async (t) => {
  const { app, login, refresh, clock } = await build(t, {
    extend: (app) => {
      app.setErrorHandler(async (error: { statusCode?: number, code?: string }, _request, reply) =>
        await reply.code(error.statusCode ?? 500).send({ mine: error.code }))
      app.get(
        '/fresh',
        {
          preHandler: async (request) => {
            await request.authenticate({ maxAge: '1m' })
          }
        },
        async () => 1
      )
      app.get('/handled', async (request) => { await request.authenticate() })
    }
  })
  const client = await login()
  for (const url of ['/me', '/handled']) {
    const missing = await app.inject({ url })
    t.strictSame([missing.statusCode, missing.json(), missing.headers['www-authenticate']],
      [401, { mine: 'ACCESS_TOKEN_MISSING' }, 'Bearer'])
  }
  clock.pass(2 * 60_000)
  const old = await app.inject({ url: '/fresh', headers: { authorization: client.authorization } })
  t.match(old.headers['www-authenticate'], /max_age=60/)
  clock.pass(hour)
  const expired = await app.inject({ url: '/me', headers: { authorization: client.authorization } })
  t.match(expired.headers['www-authenticate'], /expired/)
  t.equal((await refresh(client)).headers['www-authenticate'], undefined)
})

t.test('a store that is down says when to come back, through an error handler of the application', async (t) => {
  const broken = new MemoryStore()
  const { app, login, refresh } = await build(t, {
    store: broken,
    extend: (app) => {
      app.setErrorHandler(async (error: { statusCode?: number }, _request, reply) =>
        await reply.code(error.statusCode ?? 500).send({}))
      app.get('/devices', async () => await app.sessions.list('ada'))
      app.get('/caught', async (_request, reply) => {
        await app.sessions.list('ada').catch(() => {})
        return await reply.code(503).send()
      })
    }
  })
  const client = await login()
  broken.rotate = broken.create = broken.find = broken.list = async () => { throw new Error('down') }
  for (const response of [
    await refresh(client),
    await app.inject({ method: 'POST', url: '/login', payload: { claims: { sub: 'ada' } } }),
    await app.inject({ url: '/live', headers: { authorization: client.authorization } }),
    await app.inject({ url: '/devices' })
  ]) {
    t.equal(response.statusCode, 503)
    t.equal(response.headers['retry-after'], '1')
  }
  const { headers } = await app.inject({ url: '/caught' })
  t.equal(headers['retry-after'], undefined, 'an answer of the application says what it likes')
})

t.test('a request that another strategy lets in carries no challenge', async (t) => {
  const { app } = await build(t, {
    extend: async (app) => {
      await app.register(fastifyAuth)
      const byKey = async ({ headers }: { headers: Record<string, unknown> }): Promise<void> => {
        if (headers['x-key'] !== 'good') throw new Error('no key')
      }
      app.after(() => {
        const either = app.auth([app.authenticate as never, byKey as never])
        app.get('/either', { preHandler: either }, async () => 'in')
        app.get(
          '/nowhere',
          { preHandler: either },
          async (_request, reply) => await reply.code(404).send()
        )
      })
    }
  })
  const response = await app.inject({ url: '/either', headers: { 'x-key': 'good' } })
  t.equal(response.statusCode, 200)
  t.equal(response.headers['www-authenticate'], undefined)
  const absent = await app.inject({ url: '/nowhere', headers: { 'x-key': 'good' } })
  t.strictSame([absent.statusCode, absent.headers['www-authenticate']], [404, undefined])
})

t.test('a second registration in a scope says that there is one', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(authPlugin, { secret, store: store() })
  const options = { secret, store: store(), prefix: '/two', decorateAuthenticate: false }
  const registration = app.register(async (scope) => await scope.register(authPlugin, options))
  await t.rejects(async () => await registration, {
    code: 'INVALID_OPTION',
    message: /registered in this scope already, or in one above it/
  })
})

t.test('a decorator of the application that has our name is said to stand in the way, or left alone', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  app.decorate('authenticate', (() => 'mine') as never)
  await t.rejects(async () => await app.register(authPlugin, { secret, store: store() }), {
    code: 'INVALID_OPTION',
    message: /decorateAuthenticate is true, and the instance has a decorator named authenticate/
  })
  const other = Fastify()
  t.teardown(async () => await other.close())
  other.decorate('authenticate', (() => 'mine') as never)
  await other.register(authPlugin, { secret, store: store(), decorateAuthenticate: false })
  t.equal((other.authenticate as unknown as () => string)(), 'mine')
  other.get('/me', { onRequest: authenticate }, async () => 'open')
  t.equal((await other.inject({ url: '/me' })).statusCode, 401)
})

t.test('a logout over HTTP/2 ends all sessions, without a length of the body', async (t) => {
  const app = Fastify({ http2: true })
  t.teardown(async () => await app.close())
  await app.register(authPlugin, { secret, store: store() })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  t.teardown(() => session.close())
  const post = async (path: string, headers: object, body?: string) => {
    const stream = session.request(
      { ':method': 'POST', ':path': path, ...headers },
      { endStream: body === undefined }
    )
    if (body !== undefined) stream.end(body)
    const [answer] = await once(stream, 'response') as [Record<string, unknown>]
    stream.resume()
    await once(stream, 'close')
    return answer
  }
  await post('/login', {})
  const cookie = String((await post('/login', {}))['set-cookie']).split(';')[0]
  const type = { 'content-type': 'application/json' }
  t.match(
    await post('/auth/refresh', { cookie, ...type }),
    { ':status': 200 },
    'an empty body of any type is fine'
  )
  t.match(await post('/auth/logout', { cookie, ...type }, '{"all":true}'), { ':status': 204 })
  t.strictSame(await app.sessions.list('ada'), [])
})

t.test('what a body says is bounded, and what is said of it is short', async (t) => {
  const { app, login } = await build(t)
  const { cookie } = await login()
  const logout = async (payload: string, type = 'application/json') =>
    await app.inject({
      method: 'POST',
      url: '/auth/logout',
      headers: { cookie, 'content-type': type },
      payload
    })
  const deep = await logout(`{"all":${'['.repeat(5000)}${']'.repeat(5000)}}`)
  t.equal(deep.statusCode, 400)
  const long = await logout(`{"all":[${'0,'.repeat(5000)}0]}`)
  t.equal(long.statusCode, 400)
  t.ok(long.body.length < 300, `${long.body.length} characters`)
  t.equal((await logout(`{"all":true,"x":"${'x'.repeat(16 * 1024)}"}`)).statusCode, 413)
  const type = await logout('x', `text/${'x'.repeat(5000)}`)
  t.equal(type.statusCode, 415)
  t.ok(type.body.length < 300)
  t.equal((await app.sessions.list('ada')).length, 1)
})

t.test('a foreign page meets the check of the origin before any hook of the route', async (t) => {
  let called = 0
  const hook = async (): Promise<void> => { called++ }
  const hooks = { onRequest: hook, preHandler: [hook] }
  for (const transports of [['cookie'], ['cookie', 'body']] as const) {
    const { app, login } = await build(t, {
      refreshToken: { transports: [...transports] },
      routes: { refresh: hooks, logout: hooks }
    })
    const { cookie } = await login()
    for (const [url, given] of [
      ['/auth/refresh', cookie],
      ['/auth/refresh', 'old=1'],
      ['/auth/logout', cookie],
      ['/auth/logout', 'old=1']
    ]) {
      const response = await app.inject({
        method: 'POST',
        url,
        headers: { cookie: given, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
      })
      t.match(response.json(), { statusCode: 403, code: 'CROSS_ORIGIN_REQUEST' }, `${url} ${given}`)
    }
  }
  t.equal(called, 0)
})

t.test('trusted origins may be patterns, which must match the whole origin', async (t) => {
  const { login, refresh } = await build(t, {
    trustedOrigins: [/https:\/\/[\w-]+\.preview\.example/g]
  })
  let client = await login()
  for (let i = 0; i < 2; i++) {
    client = toClient(
      await refresh(client, {
        headers: { origin: 'https://pr-7.preview.example', 'sec-fetch-site': 'cross-site' }
      })
    )
  }
  for (const origin of [
    'https://pr-7.preview.example.evil.example',
    'http://pr-7.preview.example',
    'https://a.b.preview.example'
  ]) {
    t.equal(
      (await refresh(client, { headers: { origin, 'sec-fetch-site': 'cross-site' } })).statusCode,
      403,
      origin
    )
  }
})
