import fastifyRateLimit from '@fastify/rate-limit'
import fc from 'fast-check'
import Fastify,
{ type FastifyInstance, type FastifyReply, type LightMyRequestResponse } from 'fastify'
import t from 'tap'
import authPlugin from '../lib/index'
import type { AuthPluginOptions, Transport } from '../lib/index'
import { MemoryStore } from '../lib/store/memory'
import { DownStore } from './support/down-store'
import { build, day, minute, peek, secret, toClient, type TestApp } from './support/app'
import { observe } from './support/events'

const withTransports = (...transports: Transport[]) => ({ refreshToken: { transports } })
const body = withTransports('body')
const both = withTransports('cookie', 'body')
const type = 'application/x-www-form-urlencoded'
const foreign = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }

type Fields = string | Record<string, string> | Array<[string, string]>

async function post ({ app }: Pick<TestApp, 'app'>, url: string, fields: Fields, headers = {}) {
  const payload = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString()
  return await app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': type, ...headers }
  })
}

const refresh = async (node: Pick<TestApp, 'app'>, token: string, headers = {}) =>
  await post(node, '/auth/refresh', { grant_type: 'refresh_token', refresh_token: token }, headers)

const logout = async (node: Pick<TestApp, 'app'>, fields: Fields, headers = {}) =>
  await post(node, '/auth/logout', fields, headers)

/** What an OAuth client reads in an answer: a verdict, of two members and no challenge, or none. */
function verdictOf (answer: LightMyRequestResponse): string {
  const { error, error_description: description, ...rest } = answer.json()
  if (error === undefined) return `${answer.statusCode}`
  // RFC 6749 §5.2 leaves quotes, backslashes and what is not ASCII out.
  const isWhole = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(description) &&
    Object.keys(rest).length === 0 &&
    answer.headers['www-authenticate'] === undefined &&
    answer.headers['cache-control'] === 'no-store' &&
    answer.headers['set-cookie'] === undefined &&
    /^application\/json/.test(String(answer.headers['content-type']))
  return isWhole ? `${answer.statusCode} ${error}` : `not an error of RFC 6749: ${answer.body}`
}

t.test('a form refreshes, and is answered as JSON is', async (t) => {
  const node = await build(t, body)
  let client = await node.login()
  for (let gen = 2; gen <= 4; gen++) {
    const answer =
      await refresh(node, client.refreshToken, gen === 3
        ? { 'content-type': `${type}; charset=UTF-8` }
        : {})
    client = toClient(answer)
    t.same(Object.keys(client.body).sort(),
      ['access_token', 'expires_in', 'refresh_token', 'token_type'])
    t.match(peek(client.refreshToken), { gen, via: 'body' })
    t.equal(answer.headers['cache-control'], 'no-store')
    t.equal(answer.headers['set-cookie'], undefined)
    t.equal((await node.me(client)).statusCode, 200)
  }
  const json =
    await node.app.inject({
      method: 'POST',
      url: '/auth/refresh',
      payload: { refresh_token: client.refreshToken }
    })
  t.match(peek(toClient(json).refreshToken), { gen: 5 }, 'one session, whichever dialect')
})

t.test('other parameters, and the client that a form names, are not looked at', async (t) => {
  const node = await build(t, body)
  const { refreshToken } = await node.login()
  const fields: Array<[string, string]> = [
    ['grant_type', 'refresh_token'], ['refresh_token', refreshToken], ['client_id', 'app'],
    ['client_secret', 'x'],
    ['scope', 'openid'], ['resource', 'https://a.example'], ['resource', 'https://b.example'],
    ['__proto__', 'x'],
    ['all', 'true'], ['constructor', 'x']
  ]
  const authorization = `Basic ${Buffer.from('app:secret').toString('base64')}`
  t.equal((await post(node, '/auth/refresh', fields, { authorization })).statusCode, 200)
  const other = await node.login()
  t.equal((await logout(node,
    [['token', other.refreshToken], ['token_type_hint', 'x'], ['all', 'true']],
    { authorization })).statusCode, 200)
  t.match(await node.app.sessions.list('ada'), [{ generation: 2 }], 'no more than the token named')
})

t.test('a form that asks wrongly learns so by the name that RFC 6749 has for it', async (t) => {
  const node = await build(t, both)
  const { refreshToken } = await node.login({ sub: 'ada' }, { transport: 'body' })
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  const grant = 'grant_type=refresh_token'
  for (const [fields, expected] of [
    [`refresh_token=${refreshToken}`, '400 invalid_request'],
    [`grant_type=&refresh_token=${refreshToken}`, '400 invalid_request'],
    [`grant_type=password&refresh_token=${refreshToken}`, '400 unsupported_grant_type'],
    [`grant_type=constructor&refresh_token=${refreshToken}`, '400 unsupported_grant_type'],
    [grant, '400 invalid_request'],
    [`${grant}&refresh_token=`, '400 invalid_request'],
    [`${grant}&${grant}&refresh_token=${refreshToken}`, '400 invalid_request'],
    [`${grant}&refresh_token=${refreshToken}&refresh_token=${refreshToken}`, '400 invalid_request'],
    [`${grant}&refresh_token=x`, '400 invalid_grant'],
    [`${grant}&refresh_token=${browser.refreshToken}`, '400 invalid_grant'],
    ['{"refresh_token":"x"}', '400 invalid_request'],
    ['%', '400 invalid_request'],
    ['&&&', '400 invalid_request']
  ] as const) {
    t.equal(verdictOf(await post(node, '/auth/refresh', fields)), expected,
      fields.slice(0, 40))
  }
  for (const fields of ['x=y', 'token=', `token=${refreshToken}&token=${refreshToken}`,
    'refresh_token=x&refresh_token=y']) {
    t.equal(verdictOf(await logout(node, fields)), '400 invalid_request', fields.slice(0, 40))
  }
  t.equal((await refresh(node, refreshToken)).statusCode, 200, 'nothing was spent')
})

t.test('each end of a session is an invalid_grant', async (t) => {
  const node =
    await build(t, { ...body, claims: async ({ sub }) => sub === 'eve' ? null : { sub } })
  const client = await node.login()
  const next = toClient(await refresh(node, client.refreshToken))
  t.equal(toClient(await refresh(node, client.refreshToken)).refreshToken, next.refreshToken,
    'a repeat is none')
  node.clock.pass(minute)
  t.equal(verdictOf(await refresh(node, client.refreshToken)), '400 invalid_grant', 'reused')
  t.equal(verdictOf(await refresh(node, next.refreshToken)), '400 invalid_grant', 'over')
  const denied = await node.login({ sub: 'eve' })
  t.equal(verdictOf(await refresh(node, denied.refreshToken)), '400 invalid_grant',
    'denied by the hook')
  const idle = await node.login()
  node.clock.pass(15 * day)
  t.equal(verdictOf(await refresh(node, idle.refreshToken)), '400 invalid_grant', 'expired')
})

t.test('with paired, a form brings the access token beside it', async (t) => {
  const node = await build(t, { refreshToken: { transports: ['body'], paired: true } })
  const client = await node.login()
  const other = await node.login()
  t.equal(verdictOf(await refresh(node, client.refreshToken)), '400 invalid_request')
  t.equal(verdictOf(await refresh(node, client.refreshToken,
    { authorization: other.authorization })), '400 invalid_grant')
  t.equal((await refresh(node, client.refreshToken,
    { authorization: client.authorization })).statusCode, 200)
})

t.test('a form revokes by a token of either kind, and of any generation', async (t) => {
  for (const name of ['token', 'refresh_token']) {
    for (const which of ['refresh', 'spent', 'access', 'expired'] as const) {
      const node = await build(t, both)
      const first = await node.login({ sub: 'ada' }, { transport: 'body' })
      await node.login({ sub: 'ada' }, { transport: 'cookie' })
      const last = toClient(await refresh(node, first.refreshToken))
      if (which === 'expired') node.clock.pass(day)
      const tokens =
        {
          refresh: last.refreshToken,
          spent: first.refreshToken,
          access: last.body.access_token,
          expired: last.body.access_token
        }
      const answer = await logout(node, { [name]: tokens[which], token_type_hint: 'access_token' })
      t.same([answer.statusCode, answer.body, answer.headers['set-cookie']], [200, '{}', undefined])
      t.match(await node.app.sessions.list('ada'), [{ transport: 'cookie' }], `${name}, ${which}`)
      t.equal(verdictOf(await refresh(node, last.refreshToken)), '400 invalid_grant')
    }
  }
})

t.test('a form that names a token ends its session, and not that of who asks', async (t) => {
  for (const guarded of [false, true]) {
    for (const which of ['refresh', 'access', 'unknown'] as const) {
      const app = Fastify()
      t.teardown(async () => await app.close())
      // A guard on everything finds a user on the plugin's own routes as well.
      if (guarded) app.addHook('onRequest', async (request) => { await request.authenticate() })
      await app.register(authPlugin, { secret, store: new MemoryStore(), ...body })
      const asking = await app.sessions.open({ sub: 'ada' })
      const named = await app.sessions.open({ sub: 'eve' })
      const token = { refresh: named.refreshToken, access: named.accessToken, unknown: 'x' }[which]
      const authorization = `Bearer ${asking.accessToken}`
      t.equal((await logout({ app }, { token }, { authorization })).statusCode, 200)
      t.match(await app.sessions.list('ada'), [{ sid: asking.sid }], `${which}, ${guarded}`)
      t.equal((await app.sessions.list('eve')).length, which === 'unknown' ? 1 : 0)
      t.equal((await logout({ app }, 'reason=done', { authorization })).statusCode, 200)
      t.same(await app.sessions.list('ada'), [], 'without a token it is the session that asks')
    }
  }
})

t.test('a form is answered 200 though replicas have yet to confirm the end', async (t) => {
  const replication = () => ({ confirm: async () => 0, close () {} })
  const store = Object.assign(new MemoryStore(), { replication })
  const node = await build(t, { ...body, store, durability: { replicas: 1 } })
  const { refreshToken } = await node.login()
  const seen = observe(t)
  const answer = await logout(node, { token: refreshToken })
  t.same([answer.statusCode, answer.json()], [200, {}])
  t.match(seen().find(([name]) => name === 'unconfirmed'), ['unconfirmed', { sub: 'ada', replicas: 0 }])
  t.same(await node.app.sessions.list('ada'), [], 'it has ended')
})

t.test('to revoke an unknown token is a success, and touches nothing', async (t) => {
  const node = await build(t, both)
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  const own = { cookie: browser.cookie, authorization: browser.authorization }
  for (const token of ['x', 'a.b.c', browser.refreshToken, '\u0000', 'x'.repeat(9000)]) {
    t.equal((await logout(node, { token }, own)).statusCode, 200)
  }
  t.match(await node.app.sessions.list('ada'), [{ generation: 1 }])
})

t.test('a form without a token counts by its cookie, from pages of the own origin alone',
  async (t) => {
    const node = await build(t, both)
    const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
    const own = { cookie: browser.cookie, 'sec-fetch-site': 'same-origin' }
    const next = toClient(await post(node, '/auth/refresh', 'grant_type=refresh_token', own))
    t.match(peek(next.refreshToken), { gen: 2, via: 'cookie' })
    t.notOk('refresh_token' in next.body)
    const ended = await logout(node, 'reason=done', { ...own, cookie: next.cookie })
    t.equal(ended.statusCode, 200)
    t.match(ended.headers['set-cookie'], /^__Host-refresh_token=;/)
    t.same(await node.app.sessions.list('ada'), [])
  })

t.test('a form with a cookie from a foreign page is no verdict, whatever it brings', async (t) => {
  const node = await build(t, both)
  const phone = await node.login({ sub: 'ada' }, { transport: 'body' })
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  for (const cookie of [browser.cookie, '__Host-refresh_token=forged', 'theme=dark']) {
    for (const send of [refresh, async (node: TestApp, token: string, headers: object) =>
      await logout(node, { token }, headers)]) {
      const answer = await send(node, phone.refreshToken, { ...foreign, cookie })
      t.equal(verdictOf(answer), '403')
      t.match(answer.json(), { code: 'CROSS_ORIGIN_REQUEST', statusCode: 403 })
    }
  }
  t.equal(verdictOf(await logout(node, 'x=y', foreign)), '400 invalid_request',
    'no cookie to act on')
  t.match(await node.app.sessions.list('ada'), [{ generation: 1 }, { generation: 1 }])
  t.equal((await refresh(node, phone.refreshToken, foreign)).statusCode, 200,
    'a token in the body, and no cookie')
})

t.test('where a form and a cookie bring a token the form counts', async (t) => {
  const node = await build(t, both)
  const phone = await node.login({ sub: 'ada' }, { transport: 'body' })
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  const next = toClient(await refresh(node, phone.refreshToken, { cookie: browser.cookie }))
  t.match(peek(next.refreshToken), { via: 'body', gen: 2 })
  t.equal(verdictOf(await refresh(node, 'forged', { cookie: browser.cookie })), '400 invalid_grant')
  t.equal((await logout(node, { token: next.refreshToken },
    { cookie: browser.cookie })).statusCode, 200)
  t.match(await node.app.sessions.list('ada'), [{ transport: 'cookie', generation: 1 }])
})

t.test('with cookies alone there are no forms', async (t) => {
  const node = await build(t)
  const { cookie } = await node.login()
  for (const url of ['/auth/refresh', '/auth/logout']) {
    const answer =
      await post(node, url, 'grant_type=refresh_token&refresh_token=x&token=x', { cookie })
    t.match(answer.json(),
      { statusCode: 415, code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', error: 'Unsupported Media Type' })
  }
  t.match(await node.app.sessions.list('ada'), [{ generation: 1 }])
})

t.test('an empty body of that type is no form', async (t) => {
  const node = await build(t, both)
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  const next = await post(node, '/auth/refresh', '', { cookie: browser.cookie })
  t.equal(next.statusCode, 200)
  const chunked = { cookie: toClient(next).cookie, 'transfer-encoding': 'chunked' }
  t.equal((await post(node, '/auth/logout', '', chunked)).statusCode, 204)
  t.match((await post(node, '/auth/refresh', '', { 'transfer-encoding': 'chunked' })).json(),
    { code: 'REFRESH_TOKEN_MISSING', error: 'Unauthorized' })
})

t.test('what is no verdict has no member `error`: an outage is not a logout', async (t) => {
  const store = new DownStore()
  const node = await build(t, {
    store,
    ...body,
    routes: {
      logout: {
        preHandler: async (request) => { if (request.headers.oops !== undefined) throw new Error('postgres://secret') }
      }
    }
  })
  const { refreshToken } = await node.login()
  store.isDown = true
  for (const answer of [await refresh(node, refreshToken),
    await logout(node, { token: refreshToken })]) {
    t.equal(verdictOf(answer), '503')
    t.match(answer.json(), { code: 'STORE_UNAVAILABLE', message: /try again/ })
    t.ok(Number(answer.headers['retry-after']) > 0)
  }
  store.isDown = false
  const oops = await logout(node, { token: refreshToken }, { oops: '1' })
  t.same(oops.json(), { statusCode: 500, message: 'Internal Server Error' },
    'and nothing of the application leaks')
  t.equal(verdictOf(await post(node, '/auth/refresh', `x=${'y'.repeat(17_000)}`)), '413')
  t.equal((await refresh(node, refreshToken)).statusCode, 200)
})

t.test('a rate limit that is passed keeps its status and headers, and has no member `error`',
  async (t) => {
    for (const builder of [
      undefined,
      () => ({ statusCode: 429, error: 'invalid_grant', message: 'slower' }),
      () => ({ error: 'invalid_grant' }),
      () => 'slower',
      () => null
    ]) {
      const options =
      {
        global: false,
        ...(builder === undefined ? {} : { errorResponseBuilder: builder as () => object })
      }
      const node =
      await buildAfter(t, { refresh: { config: { rateLimit: { max: 2, timeWindow: minute } } } },
        async (app) => await app.register(fastifyRateLimit, options))
      let answer
      for (let i = 0; i < 3; i++) answer = await refresh(node, 'x')
      t.equal(verdictOf(answer as LightMyRequestResponse),
        builder?.() === undefined || 'statusCode' in Object(builder()) ? '429' : '500')
      t.ok(Number(answer?.headers['retry-after']) > 0)
    }
  })

/** Builds an application that has something set before the plugin is registered. */
async function buildAfter (
  t: Parameters<typeof build>[0], routes: AuthPluginOptions['routes'],
  prepare: (app: FastifyInstance) => Promise<unknown>
): Promise<{ app: FastifyInstance }> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await prepare(app)
  await app.register(authPlugin,
    { secret, store: new MemoryStore(), ...body, ...(routes === undefined ? {} : { routes }) })
  return { app }
}

t.test('no handler, schema or hook of the application writes the errors of a form', async (t) => {
  const spoil = (name: string) => async (error: Error & { statusCode?: number }) =>
    ({ error: name, told: error.message })
  const schema =
    { type: 'object', properties: { data: { type: 'object', additionalProperties: true } } }
  for (const merged of [false, true]) {
    const extras = merged ? { errorHandler: function (error: Error) { throw error } as never } : {}
    const routes =
      {
        refresh: { ...extras, schema: { response: { '4xx': schema } } },
        logout: { errorHandler: spoil('route') as never }
      }
    const node = await buildAfter(t, routes, async (app) => {
      app.setErrorHandler(spoil('application'))
      app.addHook('preSerialization', async (_request, _reply, payload) => ({ data: payload }))
    })
    t.equal(verdictOf(await refresh(node, 'x')), '400 invalid_grant')
    t.equal(verdictOf(await logout(node, 'x=y')), '400 invalid_request')
    t.equal(verdictOf(await post(node, '/auth/refresh', `x=${'y'.repeat(17_000)}`)), '413')
    const json = async (url: string) =>
      (await node.app.inject({
        method: 'POST',
        url,
        payload: { all: 'x', refresh_token: 'x' }
      })).json()
    t.match(await json('/auth/logout'), { data: { error: 'route' } })
    t.match(await json('/auth/refresh'),
      { data: { error: 'application', told: 'The refresh token is invalid' } })
  }
})

t.test('a hook that fails on whatever is sent makes no verdict of it', async (t) => {
  for (const fails of [1, 2, Infinity]) {
    let asked = 0
    let failed = 0
    const node = await buildAfter(t, {}, async (app) => {
      app.setErrorHandler(async () => { asked++; return { error: 'application' } })
      app.addHook('onRequest', async (_request, reply) => { reply.header('x-early', 'yes') })
      app.addHook('onSend', async () => { if (failed++ < fails) throw new Error('x') })
    })
    const { refreshToken } = await node.app.sessions.open({ sub: 'ada' })
    for (const send of [
      async () => await refresh(node, refreshToken),
      async () => await refresh(node, 'x'),
      async () => await logout(node, 'x=y')
    ]) {
      failed = 0
      const answer = await send()
      t.match(verdictOf(answer), fails === 1 ? /^500$|^400 / : /^500$/)
      t.match(answer.headers, { 'content-type': /^application\/json/, 'x-early': 'yes' })
    }
    t.equal(asked, 0)
    const url = '/auth/refresh'
    await node.app.inject({ method: 'POST', url, payload: { refresh_token: 'x' } })
    t.equal(asked, 1, "the errors of JSON are the application's")
  }
})

t.test('what a hook of the application throws keeps its status and headers', async (t) => {
  const thrown: Array<[unknown, number]> = [
    [Object.assign(new Error('not now'), { statusCode: 451, headers: { 'x-why': 'law' } }), 451],
    [Object.assign(new Error('not now'), { status: 402 }), 402],
    [Object.assign(new Error('not now'), { statusCode: 200 }), 500],
    [Object.assign(new Error('not now'), { statusCode: '404' }), 500],
    [Object.assign(new Error('not now'), { statusCode: 401, code: 'REFRESH_TOKEN_INVALID' }), 401],
    [Object.assign(new Error('not now'), { statusCode: 400, code: 'INVALID_REQUEST' }), 400],
    ['text', 500], [null, 500], [[], 500]
  ]
  for (const [error, status] of thrown) {
    const node =
      await build(t, { ...body, routes: { refresh: { onRequest: async () => { throw error } } } })
    const answer = await refresh(node, 'x')
    t.equal(verdictOf(answer), String(status))
    if (status === 451) t.same([answer.headers['x-why'], answer.json().message], ['law', 'not now'])
  }
  const refuse = async (_request: unknown, reply: FastifyReply) => {
    reply.code(418)
    throw new Error('x')
  }
  const node = await build(t, { ...body, routes: { refresh: { onRequest: refuse } } })
  t.equal(verdictOf(await refresh(node, 'x')), '418')
})

t.test('the log has what a form is not told', async (t) => {
  const lines: string[] = []
  const node = await build(t, {
    ...body,
    routes: { refresh: { preHandler: async () => { throw new Error('the database is gone') } } },
    server: { logger: { level: 'info', stream: { write: (line) => { lines.push(line) } } } }
  })
  const { refreshToken } = await node.login()
  await refresh(node, refreshToken)
  t.match(lines.filter((line) => line.includes('"level":50')), [/the database is gone/])
  await logout(node, 'token=x&token=y')
  t.notOk(lines.some((line) => line.includes(refreshToken)))
})

t.test('whatever a form holds, it is answered below 500, and ends nothing that it does not name',
  async (t) => {
    const node = await build(t, both)
    const keep = await node.login({ sub: 'keep' }, { transport: 'body' })
    const name =
    fc.oneof(fc.constantFrom('grant_type', 'refresh_token', 'token', 'all', '__proto__', ''),
      fc.string())
    const value =
    fc.oneof(fc.constantFrom('refresh_token', '', 'a.b.c', 'true'), fc.string({ maxLength: 200 }),
      fc.string({ unit: 'binary', maxLength: 50 }))
    const text = fc.oneof(
      fc.array(fc.tuple(name, value)).map((pairs) => new URLSearchParams(pairs).toString()),
      fc.string({ maxLength: 500 })
    )
    await fc.assert(fc.asyncProperty(text, fc.constantFrom('/auth/refresh', '/auth/logout'),
      async (payload, url) => {
        const answer = await post(node, url, payload)
        const verdict = answer.body === '' ? String(answer.statusCode) : verdictOf(answer)
        return /^(?:200|204|40\d(?: \w+)?)$/.test(verdict) || payload === ''
      }), { numRuns: 500 })
    t.equal((await refresh(node, keep.refreshToken)).statusCode, 200)
  })
