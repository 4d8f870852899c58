import { generateKeyPairSync } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../lib/index'
import { secret as shared } from './support/app'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const secret = { private: privateKey }
const document = '/.well-known/openid-configuration'
const issuer = 'https://login.example.com/auth'
const forms = { transports: ['cookie', 'body'] as ['cookie', 'body'] }
type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

/** Builds an application with metadata at this issuer; the log has what it was warned of. */
async function build (
  t: Teardown, options: Partial<AuthPluginOptions> = {}, scope = '/'
) {
  const warnings: string[] = []
  const stream = { write: (line: string) => { warnings.push(JSON.parse(line).msg) } }
  const app = Fastify({ logger: { level: 'warn', stream } })
  t.teardown(async () => await app.close())
  await app.register(async (scope) => {
    await scope.register(authPlugin, {
      secret,
      store: new MemoryStore(),
      accessToken: { issuer },
      routes: { metadata: true },
      ...options
    })
  }, { prefix: scope })
  return { app, warnings: warnings.filter((line) => !line.startsWith('MemoryStore')) }
}

t.test('the document says what the server can do, and where', async (t) => {
  const { app, warnings } = await build(t, { refreshToken: forms })
  const answer = await app.inject(`/auth${document}`)
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, {
    'content-type': /^application\/json/, 'cache-control': 'public, max-age=300'
  })
  t.strictSame(answer.json(), {
    issuer,
    jwks_uri: `${issuer}/jwks.json`,
    token_endpoint: `${issuer}/refresh`,
    token_endpoint_auth_methods_supported: ['none'],
    grant_types_supported: ['refresh_token'],
    revocation_endpoint: `${issuer}/logout`,
    revocation_endpoint_auth_methods_supported: ['none'],
    response_types_supported: []
  })
  t.strictSame(warnings, [])
  t.equal((await app.inject('/auth/jwks.json')).json().keys.length, 1, 'it turns the keys on')
  const post = await app.inject({ method: 'POST', url: `/auth${document}` })
  t.equal(post.statusCode, 404)
})

t.test('an endpoint that takes no forms is none', async (t) => {
  const members = async (options: Partial<AuthPluginOptions>) => {
    const { app } = await build(t, options)
    return (await app.inject(`/auth${document}`)).json()
  }
  const base = { issuer, jwks_uri: `${issuer}/jwks.json`, response_types_supported: [] }
  t.strictSame(await members({}), { ...base, grant_types_supported: [] }, 'cookies alone')
  const off = await members({
    refreshToken: forms, routes: { metadata: {}, refresh: false, logout: false }
  })
  t.strictSame(off, { ...base, grant_types_supported: [] }, 'routes that are off')
})

t.test('with DPoP it says by which algorithm proofs are made', async (t) => {
  const { app } = await build(t, { refreshToken: { ...forms, bindings: ['dpop'] } })
  const { dpop_signing_alg_values_supported: algorithms } =
    (await app.inject(`/auth${document}`)).json()
  t.strictSame(algorithms, ['ES256'])
})

t.test('the issuer is the URL of the routes, whatever a proxy strips of it', async (t) => {
  for (const [issuer, path, { prefix, scope = '/' }] of [
    ['https://example.com/auth/', '/auth', {}],
    ['https://example.com/api/auth', '/auth', {}],
    ['https://example.com/v1/auth', '/v1/auth', { scope: '/v1' }],
    ['https://example.com/api/v1/session', '/v1/session', { prefix: '/session', scope: '/v1' }],
    ['https://example.com', '', { prefix: '/' }],
    ['https://example.com/', '', { prefix: '/' }],
    ['https://EXAMPLE.com:8443/auth', '/auth', { prefix: '/auth/' }]
  ] as Array<[string, string, { prefix?: string, scope?: string }]>) {
    const options = { accessToken: { issuer }, ...(prefix === undefined ? {} : { prefix }) }
    const { app, warnings } = await build(t, options, scope)
    const { issuer: named, jwks_uri: keys } = (await app.inject(path + document)).json()
    t.equal(named, issuer, 'as it is in each token')
    t.equal(keys, `${issuer.replace(/\/$/, '')}/jwks.json`)
    t.strictSame(warnings, [])
  }
})

t.test('an issuer below which nobody would find the document is refused', async (t) => {
  for (const [issuer = '', scope] of [
    ['https://login.example.com'], ['https://login.example.com/'], ['login.example.com/auth'],
    ['https://login.example.com/xauth'], ['https://login.example.com/auth/x'],
    ['https://login.example.com/auth?x=y'], ['https://login.example.com/auth#x'],
    ['https://ada:x@login.example.com/auth'], ['urn:example:auth'], ['ftp://example.com/auth'],
    ['auth'], ['https://login.example.com/auth', '/v1']
  ]) {
    // Its password is not for a log.
    const said = issuer.includes('@') ? 'text with an @' : JSON.stringify(issuer)
    await t.rejects(build(t, { accessToken: { issuer } }, scope), {
      code: 'INVALID_OPTION',
      message: `The option accessToken.issuer is ${said}; allowed: with ` +
        'routes.metadata, the URL of the routes as other services reach it, such as ' +
        `'https://example.com${scope ?? ''}/auth', without a query or a fragment`
    })
  }
})

t.test('it needs an issuer, a key pair, the keys, and one place', async (t) => {
  await t.rejects(build(t, { accessToken: {} }), {
    code: 'INVALID_OPTION',
    message: 'The option routes.metadata is true; allowed: together with accessToken.issuer, ' +
      'below which it is found'
  })
  await t.rejects(build(t, { secret: shared, routes: { metadata: {} } }), {
    code: 'INVALID_OPTION',
    message: 'The option routes.metadata is an object; allowed: a ring with a key pair in it: ' +
      'a shared secret has no public key'
  })
  await t.rejects(build(t, { routes: { metadata: true, jwks: false } }), {
    code: 'INVALID_OPTION',
    message: 'The option routes.jwks is false; allowed: the route, with routes.metadata: ' +
      'the document names it'
  })
  const anywhere = {
    accessToken: { issuer: 'https://example.com/:x/auth' },
    refreshToken: { cookie: { path: '/' } }
  }
  await t.rejects(build(t, anywhere, '/:x'), {
    code: 'INVALID_OPTION',
    message: 'The option prefix is "/:x/auth", which has parameters; allowed: a fixed path with ' +
      'routes.metadata'
  })
  await t.rejects(build(t, { routes: { metadata: 'yes' as never } }), {
    code: 'INVALID_OPTION',
    message: 'The option routes.metadata is "yes"; allowed: true or route options'
  })
})

t.test('without it nothing is served, and an issuer may be any name', async (t) => {
  for (const metadata of [false, undefined]) {
    const { app } = await build(t, { accessToken: { issuer: 'us' }, routes: { metadata } })
    t.equal((await app.inject(`/auth${document}`)).statusCode, 404)
    t.equal((await app.inject('/auth/jwks.json')).statusCode, 404)
  }
})

t.test('its route options are merged, and a guard on everything does not shut it', async (t) => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  app.addHook('onRequest', async (request) => { await request.authenticate() })
  await app.register(authPlugin, {
    secret,
    store: new MemoryStore(),
    accessToken: { issuer },
    routes: {
      jwks: { onSend: async (_request, reply) => { reply.header('x-keys', 'here') } },
      metadata: { onSend: async (_request, reply) => { reply.header('cache-control', 'no-cache') } }
    }
  })
  const headers = { 'cache-control': 'no-cache' }
  t.match(await app.inject(`/auth${document}`), { statusCode: 200, headers })
  t.match(await app.inject('/auth/jwks.json'), { statusCode: 200, headers: { 'x-keys': 'here' } })
})

t.test('an issuer without https is warned of, unless it is this machine', async (t) => {
  for (const host of ['localhost:3000', 'auth.localhost', '127.0.0.1:3000', '[::1]:3000']) {
    const { warnings } = await build(t, { accessToken: { issuer: `http://${host}/auth` } })
    t.strictSame(warnings, [])
  }
  for (const host of ['auth:3000', 'localhost.example.com', '127.0.0.1.example.com', '10.0.0.1']) {
    const { warnings } = await build(t, { accessToken: { issuer: `http://${host}/auth` } })
    t.match(warnings, [`accessToken.issuer is "http://${host}/auth": without https`])
  }
})
