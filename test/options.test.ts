import Fastify from 'fastify'
import t from 'tap'
import fastifyRedis from '@fastify/redis'
import authPlugin, { MemoryStore, RedisStore } from '../lib/index'
import { build, secret } from './support/app'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

const store = new MemoryStore()

async function register (options: unknown): Promise<Error | undefined> {
  const app = Fastify()
  try {
    await app.register(authPlugin, options as never)
    return undefined
  } catch (error) {
    return error as Error
  } finally {
    await app.close()
  }
}

/** Has every member that RedisStore uses, and does nothing. */
const clientOfAllMembers = () =>
  Object.assign(
    Object.fromEntries(
      [
        'evalsha',
        'eval',
        'evalshaBuffer',
        'evalBuffer',
        'script',
        'info',
        'publish',
        'connect',
        'duplicate',
        'on'
      ].map((name) => [name, () => {}])
    ),
    { status: 'wait' }
  )

t.test('a wrong option is named, with what was given and what is allowed', async (t) => {
  const wrong: Array<[object, RegExp]> = [
    [{ secrets: 'x' }, /option secrets is unknown; allowed: secret, redis, store/],
    [
      { accessToken: { lifetme: 1 } },
      /option accessToken\.lifetme is unknown; allowed: accessToken\.lifetime/
    ],
    [{ accessToken: 30 }, /option accessToken is 30; allowed: an object/],
    [
      { accessToken: { lifetime: 'soon' } },
      /accessToken\.lifetime is "soon"; allowed: a duration of one second or more/
    ],
    [{ accessToken: { lifetime: 0 } }, /accessToken\.lifetime is 0/],
    [{ accessToken: { lifetime: 0.5 } }, /lifetime is 0\.5; allowed: a duration of one second/],
    [{ accessToken: { lifetime: null } }, /accessToken\.lifetime is null/],
    [{ accessToken: { issuer: '' } }, /accessToken\.issuer is ""/],
    [{ accessToken: { audience: [] } }, /accessToken\.audience is \[\]/],
    [{ accessToken: { audience: ['a', 1] } }, /accessToken\.audience is \["a", 1\]/],
    [
      { refreshToken: { gracePeriod: -1 } },
      /refreshToken\.gracePeriod is -1; allowed: a duration of 0 or more/
    ],
    [
      { refreshToken: { gracePeriod: '10' } },
      /refreshToken\.gracePeriod is "10"; allowed: .*, a number of seconds or as '30m'/
    ],
    [{ refreshToken: { absoluteLifetime: '11y' } }, /refreshToken\.absoluteLifetime is "11y"/],
    [
      { refreshToken: { absoluteLifetime: Infinity } },
      /refreshToken\.absoluteLifetime is Infinity/
    ],
    [
      { refreshToken: { idleLifetime: '91d' } },
      /refreshToken\.idleLifetime is 7862400 s; allowed: up to refreshToken\.absoluteLifetime, 7776000 s/
    ],
    [{ refreshToken: { paired: 'yes' } }, /refreshToken\.paired is "yes"/],
    [{ refreshToken: { transports: [] } }, /refreshToken\.transports is \[\]/],
    [{ refreshToken: { transports: ['cookie', 'cookie'] } }, /refreshToken\.transports/],
    [{ refreshToken: { transports: ['header'] } }, /refreshToken\.transports is \["header"\]/],
    [{ refreshToken: { cookie: { maxAge: 1 } } }, /refreshToken\.cookie\.maxAge is unknown/],
    ...['https://x', 'x.example/', 'x.example:3000', '*.x.example', 'a_b.example', 'a..b', '', '-a.b']
      .flatMap((domain): Array<[object, RegExp]> => [
        [{ refreshToken: { cookie: { domain } } }, /cookie\.domain is ".*"; allowed: a domain such as/],
        [{ accessToken: { cookie: { domain } } }, /accessToken\.cookie\.domain is ".*"; allowed: a dom/]
      ]),
    [{ refreshToken: { cookie: { name: 'a b' } } }, /refreshToken\.cookie\.name is "a b"/],
    [
      { refreshToken: { cookie: { name: '__Host-x', path: '/auth' } } },
      /cookie\.name is "__Host-x"; allowed: the prefix __Host- only with/
    ],
    [{ refreshToken: { cookie: { name: '__Host-x', path: '/', domain: 'a.b' } } }, /__Host-/],
    [{ refreshToken: { cookie: { name: '__Secure-x', secure: false } } }, /__Secure-/],
    [{ refreshToken: { cookie: { name: '__Http-x', httpOnly: false } } }, /__Http- only with/],
    [{ refreshToken: { cookie: { name: '__Host-Http-x', httpOnly: false } } }, /__Http- only/],
    [{ refreshToken: { cookie: { partitioned: true, secure: false } } }, /partitioned is true/],
    [{ refreshToken: { cookie: { path: 'auth' } } }, /refreshToken\.cookie\.path is "auth"/],
    [{ refreshToken: { cookie: { sameSite: 'Strict' } } }, /refreshToken\.cookie\.sameSite/],
    [{ refreshToken: { cookie: { priority: 'max' } } }, /refreshToken\.cookie\.priority/],
    [{ maxSessions: 0 }, /maxSessions is 0; allowed: an integer of 1 or more, or Infinity/],
    [{ maxSessions: 1.5 }, /maxSessions is 1\.5/],
    [{ maxSessions: '5' }, /maxSessions is "5"/],
    [{ maxSessions: 5n }, /maxSessions is 5n/],
    [{ prefix: 'auth' }, /prefix is "auth"; allowed: a path/],
    [{ prefix: '/:id' }, /prefix is "\/:id"/],
    [{ routes: { refresh: 'no' } }, /routes\.refresh is "no"/],
    [
      { routes: { refresh: true } },
      /routes\.refresh is true; allowed: false or route options; the route is on without/
    ],
    [{ routes: { logout: true } }, /routes\.logout is true; allowed: false or route options/],
    [{ routes: { jwks: true } }, /routes\.jwks is true; allowed: a ring with a key pair/],
    [
      { trustedOrigins: 'https://a.b' },
      /trustedOrigins is "https:\/\/a\.b"; allowed: an array of origins/
    ],
    [
      { trustedOrigins: [/a/, 'https://a.b/', 'c'] },
      /option trustedOrigins\[1\] is "https:\/\/a\.b\/"; allowed: the origin as browsers send it, 'https:\/\/a\.b'/
    ],
    [
      { trustedOrigins: ['https://münchen.example'] },
      /trustedOrigins\[0\] .* send it, 'https:\/\/xn--mnchen-3ya\.example'/
    ],
    [{ trustedOrigins: ['https://a.b', '*'] }, /trustedOrigins\[1\] is "\*"; allowed: a RegExp/],
    [
      { trustedOrigins: ['https://*.a.b'] },
      /trustedOrigins\[0\] is "https:\/\/\*\.a\.b"; allowed: a RegExp for a pattern of origins/
    ],
    [{ trustedOrigins: ['null'] }, /trustedOrigins\[0\] is "null"; allowed: an origin of its own/],
    [{ trustedOrigins: ['a.b'] }, /trustedOrigins\[0\] is "a\.b"; allowed: an origin with its scheme/],
    [{ trustedOrigins: ['wss://a.b'] }, /trustedOrigins\[0\] is "wss:\/\/a\.b"; allowed: .* scheme/],
    [{ trustedOrigins: ['app://h:99999'] }, /trustedOrigins\[0\] is "app:\/\/h:99999"; allowed/],
    [
      { trustedOrigins: ['https://ada:pw@a.b'] },
      /trustedOrigins\[0\] is text with an @; allowed: .* send it, 'https:\/\/a\.b'/
    ],
    [{ trustedOrigins: ['ada:pw@a.b'] }, /trustedOrigins\[0\] is text with an @; allowed/],
    [{ trustedOrigins: 'https://ada:pw@a.b' }, /trustedOrigins is text with an @; allowed/],
    [{ trustedOrigins: [['ada:pw@a.b']] }, /trustedOrigins\[0\] is of type Array; allowed/],
    [{ trustedOrigins: [''] }, /trustedOrigins\[0\] is ""; allowed: an origin such as/],
    [{ trustedOrigins: [null] }, /trustedOrigins\[0\] is null; allowed: .* or a RegExp/],
    [{ accessToken: { audience: /a/ } }, /accessToken\.audience is \/a\/; allowed/],
    [{ routes: { refresh: { handler () {} } } }, /routes\.refresh\.handler is a function; allowed: Fast/],
    [
      { routes: { logout: { method: 'GET' } } },
      /logout\.method is "GET"; allowed: .* to merge, without method, url, path and handler/
    ],
    [{ routes: { jwks: { url: '/keys' } } }, /routes\.jwks\.url is "\/keys"/],
    [{ routes: { metadata: { path: '/' } } }, /routes\.metadata\.path is "\/"/],
    [{ routes: { device: { handler () {} } } }, /routes\.device\.handler is a function/],
    [{ storeTimeout: 0 }, /storeTimeout is 0; allowed: a duration above 0 and up to 30 s/],
    [{ claims: {} }, /claims is an object; allowed: a function/],
    [{ onReuse: 'log' }, /onReuse is "log"/],
    [{ revocation: true }, /revocation is true; allowed: 'none' or 'push'/],
    [{ store: {} }, /store is of type object, without now, create, .* endAll; allowed: a Store/],
    [{ store: 'x' }, /store is of type string; allowed: a Store/],
    [{ store, redis: clientOfAllMembers() }, /store is given beside redis/],
    [
      { store: undefined, redis: 'redis://:password@localhost' },
      /^(?!.*password).*redis is of type string/
    ],
    // As @upstash/redis is, which speaks HTTP, and ioredis-mock, which does not do what Redis does.
    [
      { store: undefined, redis: { evalsha () {}, eval () {}, publish () {} } },
      /redis is a client without evalshaBuffer, .* status; allowed: a Redis or Cluster of ioredis/
    ],
    [
      { store: undefined, redis: { ...clientOfAllMembers(), status: undefined } },
      /redis is a client without status; allowed: a Redis or Cluster of ioredis or iovalkey/
    ],
    [{ store: 'redis://:password@localhost' }, /^(?!.*password).*store is of type string/],
    [
      { store: undefined },
      /store is missing.*register @fastify\/redis first, pass redis.*or pass store/
    ],
    [
      {
        store: {
          now () {},
          create () {},
          find () {},
          list () {},
          rotate () {},
          update () {},
          end () {},
          endAll () {}
        },
        revocation: 'push'
      },
      /revocation is 'push'; allowed: 'none' with a store that has no listen/
    ],
    [{ prefix: 'x'.repeat(100) }, /prefix is "x{60}…"/],
    [{ claims: undefined, onReuse: () => {}, prefix: () => {} }, /prefix is a function/]
  ]
  for (const [options, message] of wrong) {
    const error = await register({ secret, store, ...options })
    t.match(error, { code: 'INVALID_OPTION', message }, String(message))
  }
})

t.test('null is no way to leave an option out', async (t) => {
  const options = [
    'secret', 'redis', 'store', 'accessToken', 'refreshToken', 'maxSessions', 'prefix',
    'decorateAuthenticate', 'routes', 'trustedOrigins', 'storeTimeout', 'claims', 'onReuse',
    'revocation', 'durability', 'secret.private', 'accessToken.cookie', 'accessToken.audience',
    'refreshToken.cookie',
    'refreshToken.cookie.domain', 'refreshToken.spentOn', 'refreshToken.bindings',
    'routes.refresh', 'routes.logout', 'routes.jwks', 'routes.metadata', 'routes.device'
  ]
  for (const option of options) {
    const given = option.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), null)
    const message = new RegExp(`option ${option} is null; allowed: `)
    t.match(
      await register({ secret, store, ...given as object }), { code: 'INVALID_OPTION', message }
    )
  }
})

t.test('the options of a store are checked as those of the plugin are', async (t) => {
  const wrong: Array<[options: unknown, message: RegExp]> = [
    [{ now: 5 }, /^MemoryStore: options\.now is 5; allowed: a function$/],
    [{ nwo: Date.now }, /^MemoryStore: options\.nwo is unknown; allowed: options\.now$/],
    [Date.now, /^MemoryStore: options is a function; allowed: an object$/],
    [null, /^MemoryStore: options is null; allowed: an object$/]
  ]
  for (const [options, message] of wrong) {
    t.throws(() => new MemoryStore(options as never), { code: 'INVALID_OPTION', message })
  }
  const clients: Array<[client: unknown, message: RegExp]> = [
    [undefined, /^RedisStore: client is missing; allowed: a Redis or Cluster/],
    [null, /^RedisStore: client is null; allowed: a Redis or Cluster/],
    ['redis://:password@localhost', /^RedisStore: client is of type string; (?!.*password)/]
  ]
  for (const [client, message] of clients) {
    t.throws(() => new RedisStore(client as never), { code: 'INVALID_OPTION', message })
  }
  t.throws(() => new RedisStore(clientOfAllMembers() as never, { prefix: '{}' }), {
    message: /^RedisStore: options\.prefix is "\{\}"; allowed: a string without braces$/
  })
})

t.test('a call with wrong options is refused, and ends nothing', async (t) => {
  const { app, login } = await build(t, {
    extend: (app) => {
      app.post('/bye', async (request, reply) => await reply.logout(request.body as never))
      app.post('/guard', async (request) => await request.authenticate(request.body as never))
    }
  })
  const { authorization } = await login()
  const { sessions } = app
  const [{ sid } = { sid: '' }] = await sessions.list('ada')
  const all = 'fastify.sessions.revokeAll'
  const wrong: Array<[options: unknown, message: string]> = [
    [{ exept: sid }, `${all}: options.exept is unknown; allowed: options.except`],
    [{ except: [sid] }, `${all}: options.except is ["${sid}"]; allowed: the sid of a session, or null`],
    [{ except: '' }, `${all}: options.except is ""; allowed: the sid of a session, or null`],
    [sid, `${all}: options is "${sid}"; allowed: an object`],
    [null, `${all}: options is null; allowed: an object`]
  ]
  for (const [options, message] of wrong) {
    await t.rejects(sessions.revokeAll('ada', options as never), { code: 'INVALID_OPTION', message })
  }
  const calls: Array<[url: string, payload: object, message: string]> = [
    ['/bye', { al: true }, 'reply.logout: options.al is unknown; allowed: options.all'],
    ['/bye', { byCaller: false }, 'reply.logout: options.byCaller is unknown; allowed: options.all'],
    ['/bye', { all: 'yes' }, 'reply.logout: options.all is "yes"; allowed: true or false'],
    ['/guard', { lvie: true }, 'request.authenticate: options.lvie is unknown; allowed: options.live, ' +
      'options.maxAge, options.bound']
  ]
  for (const [url, payload, message] of calls) {
    const response =
      await app.inject({ method: 'POST', url, payload, headers: { authorization } })
    t.match(response.json(), { statusCode: 500, code: 'INVALID_OPTION' })
    t.equal(response.json().message, message)
    t.notOk(response.headers['set-cookie'])
  }
  for (const payload of [{ al: true }, { except: sid }]) {
    await t.rejects(sessions.open({ sub: 'ada' }, payload as never), { code: 'INVALID_LOGIN' })
    await t.rejects(sessions.update('ada', sid, payload as never), { code: 'INVALID_LOGIN' })
  }
  t.match(await sessions.list('ada'), [{ sid }])
})

t.test('what can be nobody is no user without sessions: it is refused, and named', async (t) => {
  const { app, login } = await build(t)
  await login()
  const { sessions } = app
  const odd: Array<[sub: unknown, given: string]> = [
    [undefined, 'undefined'], [null, 'null'], ['', '""'], [5, '5'], [NaN, 'NaN'], [true, 'true'],
    [{ sub: 'ada' }, 'an object'], [['ada'], '["ada"]'], [Symbol.iterator, 'Symbol(Symbol.iterator)']
  ]
  for (const [given, described] of odd) {
    const sub = given as string
    const calls: Record<string, () => Promise<unknown>> = {
      list: () => sessions.list(sub),
      revoke: () => sessions.revoke(sub, 'x'),
      revokeAll: () => sessions.revokeAll(sub),
      update: () => sessions.update(sub, 'x', {})
    }
    for (const [name, call] of Object.entries(calls)) {
      await t.rejects(call(), {
        code: 'INVALID_OPTION',
        message: `fastify.sessions.${name}: sub is ${described}; allowed: a non-empty string`
      })
    }
  }
  t.equal((await sessions.list('ada')).length, 1)
})

t.test('a wrong secret is refused without being named', async (t) => {
  for (const wrong of [
    undefined,
    null,
    '',
    'hunter2',
    5,
    Buffer.from('hunter2'),
    {},
    [],
    ['hunter2'],
    [secret, 'hunter2']
  ]) {
    const error = await register({ secret: wrong, store })
    t.match(error, { code: 'INVALID_OPTION', message: /secret/ })
    t.notMatch(error?.message, /hunter2/)
  }
})

t.test('the origins of WebViews and extensions can be trusted', async (t) => {
  t.equal(
    await register({
      secret,
      store,
      trustedOrigins: [
        'capacitor://localhost',
        'chrome-extension://abcdef',
        'http://localhost:8080'
      ]
    }),
    undefined
  )
  for (const origin of ['capacitor://localhost/', 'https:///a', 'file:///', 'javascript:x']) {
    t.match(
      await register({ secret, store, trustedOrigins: [origin] }),
      { code: 'INVALID_OPTION' },
      origin
    )
  }
})

t.test('the objects of the caller are never changed', async (t) => {
  const freeze = <T extends object>(given: T): T => {
    for (const member of Object.values(given)) {
      if (typeof member === 'object' && member !== null && !(member instanceof MemoryStore)) {
        freeze(member)
      }
    }
    return Object.freeze(given)
  }
  const options = freeze({
    secret: [secret],
    store,
    accessToken: { lifetime: 60, issuer: 'a', audience: ['b'] },
    refreshToken: { transports: ['body', 'cookie'], cookie: { path: '/', secure: true } },
    routes: {
      refresh: { config: { a: 1 }, schema: { tags: ['a'] } },
      logout: { config: {}, schema: { body: { type: 'object' } } }
    },
    trustedOrigins: ['https://a.b']
  })
  const app = Fastify()
  t.teardown(async () => await app.close())
  await t.resolves(async () => await app.register(authPlugin, options as never).ready())
})

t.test('a route can be left out, or given options of its own', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  const seen: unknown[] = []
  await app.register(authPlugin, {
    secret,
    store,
    prefix: '/session',
    routes: {
      refresh: false,
      logout: {
        config: { tag: 'mine' } as object,
        onRequest: async (request) => {
          seen.push(request.routeOptions.config)
        }
      }
    }
  })
  t.equal((await app.inject({ method: 'POST', url: '/session/refresh' })).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url: '/session/logout' })).statusCode, 204)
  t.match(seen, [{ tag: 'mine' }])
})

t.test('a defaulted idle lifetime is capped by the absolute one', async (t) => {
  t.equal(await register({ secret, store, refreshToken: { absoluteLifetime: '1d' } }), undefined)
})

t.test('the client of @fastify/redis is found', async (t) => {
  const server = await redisFor(t)
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(fastifyRedis, { path: server.path })
  await app.register(authPlugin, { secret })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  t.equal((await app.inject({ method: 'POST', url: '/login' })).statusCode, 200)
  t.equal((await server.client().keys('*')).length, 1)
})

t.test('the clients of @fastify/redis that have namespaces are given one by one', async (t) => {
  const client = (await redisFor(t)).client()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyRedis, { client, namespace: 'main' })
  await t.rejects(Promise.resolve(app.register(authPlugin, { secret })), {
    code: 'INVALID_OPTION',
    message: /redis is missing, and fastify\.redis is no client; .* redis: fastify\.redis\.main/
  })

  const other = Fastify()
  t.teardown(() => other.close())
  await other.register(fastifyRedis, { client, namespace: 'main' })
  const { main } = other.redis as unknown as Record<string, typeof client>
  await other.register(authPlugin, { secret, redis: main })
  await t.resolves(other.sessions.open({ sub: 'ada' }))
})

t.test('it starts in time while Redis is silent, however long a request may wait', async (t) => {
  const server = await redisFor(t)
  const client = server.client({ maxRetriesPerRequest: null })
  await server.pause()
  const app = Fastify({ pluginTimeout: 3_000 })
  t.teardown(async () => await app.close())
  await app.register(authPlugin, {
    secret, redis: client, storeTimeout: '30s', revocation: 'push'
  })
  await t.resolves(Promise.resolve(app.ready()), 'Fastify gives a plugin so long')
  await server.resume()
  await until('it serves', async () => await app.sessions.open({ sub: 'ada' }))
})

t.test('it starts while Redis is down, says so, and never closes the client', async (t) => {
  const server = await redisFor(t)
  await server.kill()
  const client = server.client()
  const lines: string[] = []
  const app = Fastify({
    logger: { level: 'info', stream: { write: (line) => { lines.push(JSON.parse(line).msg) } } }
  })
  await app.register(authPlugin, { secret, redis: client, storeTimeout: 0.5 })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  const login = async () => (await app.inject({ method: 'POST', url: '/login' })).statusCode
  await app.ready()
  t.match(lines, ['the store of sessions is not available yet'])
  t.equal(await login(), 503)

  await server.start()
  await until('the line that Redis is there, which nobody asks', () =>
    lines.includes('the store of sessions is available now'))
  await until('service resumes by itself', async () => await login() === 200)
  await app.close()
  t.equal(await client.ping(), 'PONG')
})
