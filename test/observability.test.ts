import { inspect } from 'node:util'
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics'
import type { FastifyError, FastifyInstance, FastifyServerOptions } from 'fastify'
import { register } from 'prom-client'
import t from 'tap'
import { MemoryStore } from '../lib/index'
import type { ClaimsHook, Store } from '../lib/index'
import { build, peek, secret, second, TestClock, type Client } from './support/app'
import { observe } from './support/events'
import { recipe } from './support/recipe'

const page = 'docs/observability.md'
const day = 24 * 60 * 60 * second

/** A login, a refresh, a repeat of it after three seconds, and a reuse after a minute. */
async function live (
  t: Parameters<typeof build>[0],
  store?: Store,
  clock?: TestClock
): Promise<Client> {
  const { login, refresh, clock: own } = await build(t, store === undefined ? {} : { store })
  const client = await login()
  await refresh(client)
  ;(clock ?? own).pass(3 * second)
  await refresh(client)
  ;(clock ?? own).pass(60 * second)
  await refresh(client)
  return client
}

t.test('the recipe for Prometheus counts events, the age of spent tokens, and the time of the store', async (t) => {
  await recipe(page, 'auth_session_events_total')
  const { timed } = await recipe<{ timed: <S extends Store>(store: S) => S }>(
    page,
  'auth_store_duration_seconds'
  )
  const clock = new TestClock()
  await live(t, timed(new MemoryStore(clock)), clock)
  const text = await register.metrics()
  for (const [event, count] of Object.entries({
    login: 1,
    refresh: 1,
    repeat: 1,
    reuse: 1,
    heal: 0,
    'store-error': 0
  })) {
    t.match(text, `auth_session_events_total{event="${event}"} ${count}\n`)
  }
  t.match(text, 'auth_spent_token_age_seconds_sum{event="repeat"} 3\n')
  t.match(text, 'auth_spent_token_age_seconds_sum{event="reuse"} 63\n')
  t.match(text, 'auth_store_duration_seconds_count{step="rotate"} 3\n')
  t.match(text, 'auth_store_duration_seconds_count{step="create"} 1\n')
})

t.test('the recipe for OpenTelemetry counts events and the age of spent tokens', async (t) => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const provider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e9 })]
  })
  t.teardown(async () => await provider.shutdown())
  metrics.setGlobalMeterProvider(provider)
  await recipe(page, 'auth.session.events')
  await live(t)
  await provider.forceFlush()
  const found = exporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
  const points = found.flatMap(({ descriptor: { name }, dataPoints }) =>
    dataPoints.map(({ attributes, value }) => [
      name,
      attributes.event,
      typeof value === 'object' && 'sum' in value ? value.sum : value
    ])
  )
  t.strictSame(points, [
    ['auth.session.events', 'login', 1],
    ['auth.session.events', 'refresh', 1],
    ['auth.session.events', 'repeat', 1],
    ['auth.session.events', 'reuse', 1],
    ['auth.spent_token.age', 'repeat', 3000],
    ['auth.spent_token.age', 'reuse', 63000]
  ])
})

/** Collects log lines. */
function collect (options: object): {
  server: FastifyServerOptions
  lines: () => Array<Record<string, unknown>>
  text: () => string
} {
  let text = ''
  const stream = {
    write: (line: string) => {
      text += line
    }
  }
  return {
    server: { logger: { ...options, stream } },
    text: () => text,
    lines: () =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}

t.test('the recipe for pino keeps tokens out of the headers and bodies that an application logs', async (t) => {
  const { logger } = await recipe<{ logger: object }>(page, 'redact')
  const log = collect(logger)
  const { app, login, refresh, me } = await build(t, {
    server: log.server,
    refreshToken: { transports: ['cookie', 'body'] },
    extend: (app) => {
      app.addHook('preHandler', async (request) => { request.log.info({ req: request }, 'in') })
      app.addHook('onSend', async (request, reply) => {
        request.log.info(
          { res: { statusCode: reply.statusCode, getHeaders: () => reply.getHeaders() } },
          'out'
        )
      })
      app.post('/again', async () => 'read')
    }
  })
  const clients = [await login(), await login({ sub: 'ada' }, { transport: 'body' })]
  for (const client of clients) {
    await me(client)
    await refresh(client)
    await app.inject({
      method: 'POST',
      url: '/again',
      payload: { refresh_token: client.refreshToken }
    })
    t.notMatch(log.text(), client.refreshToken)
    t.notMatch(log.text(), client.body.access_token)
  }
  t.match(log.text(), '[Redacted]')
})

t.test('log lines have the right level and the sid', async (t) => {
  const log = collect({ level: 'trace' })
  const { login, refresh, clock } = await build(t, {
    server: log.server,
    onReuse: () => { throw new Error('the hook of the application') }
  })
  const client = await login()
  const { sid } = peek(client.body.access_token)
  await refresh(client)
  clock.pass(60 * second)
  await refresh(client)
  const at = (level: number) => log.lines().filter((line) => line.level === level)
  t.match(at(40), [
    { msg: /MemoryStore/ },
    { msg: /refresh token reuse/, sid, generation: 2, distance: 1, msSinceRotation: 60 * second }
  ])
  t.match(at(50), [{ msg: /onReuse/, sid }])
  t.match(
    at(30).find(({ err }) => err !== undefined),
    { err: { code: 'REFRESH_TOKEN_REUSED', reason: '1 generations old' } }
  )
})

t.test('the log of a 403 names the origin that asked, and the option that lets it in', async (t) => {
  const foreign = { origin: 'http://localhost:5173', 'sec-fetch-site': 'same-site', host: 'a.test' }
  const extend = (app: FastifyInstance): void => {
    // Fastify would log the error by itself; a handler of the application's may not.
    app.setErrorHandler<FastifyError>(async ({ statusCode = 500 }, _request, reply) =>
      await reply.code(statusCode).send({}))
    app.post('/leave', async (_request, reply) => await reply.logout())
    app.post('/me', { onRequest: app.authenticate }, async () => ({}))
  }
  const refusals = async (
    options: Parameters<typeof build>[1], urls: string[], headers: object = foreign
  ) => {
    const log = collect({ level: 'info' })
    const { app, login } = await build(t, { server: log.server, extend, ...options })
    const { cookie } = await login()
    for (const url of urls) {
      const payload = { claims: { sub: 'eve' } }
      const all = { cookie, ...headers }
      const { statusCode } = await app.inject({ method: 'POST', url, headers: all, payload })
      t.equal(statusCode, 403, url)
    }
    return log.lines().flatMap(({ reason }) => reason ?? [])
  }
  const reason = 'from a page of http://localhost:5173, to a.test; ' +
    'trustedOrigins names the origins that may'
  const routes = ['/auth/refresh', '/auth/logout']
  t.strictSame(await refusals({}, routes), [reason, reason])
  const [logout] = routes as [string]
  t.match(await refusals({}, [logout], { origin: 'null' }), [/of null, .*no-referrer hides its/])
  t.match(await refusals({}, [logout], { origin: 'https://app.test' }), [/whose Host counts/])
  const cookieMode = { accessToken: { cookie: true } }
  t.strictSame(await refusals(cookieMode, ['/login', '/leave', '/me']), [reason, reason, reason])
  t.strictSame(await refusals({}, ['/auth/logout'], { ...foreign, cookie: '' }), [reason])
  t.match(await refusals({}, ['/auth/logout'], { 'sec-fetch-site': 'cross-site' }),
    [/^from a page that is cross-site, to .*; trustedOrigins/])
})

t.test('no log line and no event of a full life of sessions, at any level, holds a token, a secret or a claim', async (t) => {
  const log = collect({ level: 'trace' })
  const seen = observe(t)
  const clock = new TestClock()
  const memory = new MemoryStore(clock)
  let failing = false
  const store: Store = new Proxy(memory, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (!failing || name === 'now') return member.bind(target)
      // As ioredis does it: the error carries the command.
      return async (...args: unknown[]) => {
        throw Object.assign(new Error("READONLY You can't write against a read only replica."), {
          command: { name: 'evalsha', args }
        })
      }
    }
  })
  let verdict: () => ReturnType<ClaimsHook> = () => ({ role: 'member' })
  const { app, login, refresh, logout, me } = await build(t, {
    server: log.server,
    store,
    refreshToken: { transports: ['cookie', 'body'] },
    maxSessions: 2,
    claims: () => verdict(),
    onReuse: () => { throw new Error('the hook of the application') }
  })
  const tokens = new Set<string>()
  const keep = <T extends Client>(client: T): T => {
    tokens.add(client.refreshToken).add(client.body.access_token)
    return client
  }
  const enter = async (...args: Parameters<typeof login>) => keep(await login(...args))
  const again = async (client: Client): Promise<Client> => {
    const response = await refresh(client)
    const [set] = response.cookies
    const body = response.json<Client['body']>()
    return keep({
      ...client,
      response,
      body,
      refreshToken: set?.value ?? '',
      cookie: `${set?.name}=${set?.value}`,
      authorization: `Bearer ${body.access_token}`
    })
  }
  const statuses: number[] = []
  const note = async (response: Promise<{ statusCode: number }>) => {
    statuses.push((await response).statusCode)
  }

  const first = await enter({ sub: 'ada', email: 'ada@example.com' })
  const second_ = await again(first)
  await note(refresh(first)) // repeat
  await note(me(second_))
  await note(me(second_, '/live'))
  await note(me({ authorization: `${second_.authorization}x` }))
  await note(me({ authorization: `Bearer ${second_.refreshToken}` }))
  await note(refresh({ cookie: `${second_.cookie}x` }))
  await note(refresh({ cookie: `__Host-refresh_token=${second_.body.access_token}` }))
  await note(refresh(second_, { headers: { origin: 'https://evil.example' } }))
  verdict = () => { throw new Error('the database of the application') }
  await note(refresh(second_))
  verdict = () => 5 as never
  await note(refresh(second_))
  verdict = () => ({})
  failing = true
  await note(refresh(second_))
  await note(logout(second_))
  await note(
    app.inject({
      method: 'POST',
      url: '/login',
      payload: { claims: { sub: 'ada', email: 'ada@example.com' } }
    })
  )
  failing = false
  clock.pass(60_000)
  await note(refresh(first)) // reuse
  const body = await enter({ sub: 'eve' }, { transport: 'body', device: 'phone' })
  await note(
    app.inject({
      method: 'POST',
      url: '/auth/refresh',
      payload: { refresh_token: body.refreshToken }
    })
  )
  await note(
    app.inject({
      method: 'POST',
      url: '/auth/refresh',
      payload: `{ "refresh_token": "${body.refreshToken}"`,
      headers: { 'content-type': 'application/json' }
    })
  )
  await note(
    app.inject({
      method: 'POST',
      url: '/auth/refresh',
      payload: `refresh_token=${body.refreshToken}`,
      headers: { 'content-type': 'text/plain' }
    })
  )
  await enter({ sub: 'eve' })
  const third = await enter({ sub: 'eve' }) // ends the first of the three
  await note(
    app.inject({
      method: 'POST',
      url: '/login',
      payload: { claims: { sid: third.refreshToken, sub: 'eve' } }
    })
  )
  const denied = await enter({ sub: 'bob' })
  verdict = () => null
  await note(refresh(denied))
  const healed = await enter({ sub: 'eva' })
  verdict = () => ({})
  const ahead = await again(healed)
  await memory.endAll(String(peek(healed.refreshToken).tag), {})
  await note(refresh(ahead))
  await note(logout(third))
  await note(logout({ cookie: '' }, { headers: { authorization: third.authorization } }))
  clock.pass(100 * day)
  await note(me(third))
  await note(refresh(third))
  await app.sessions.revokeAll('eve')
  await app.close()

  t.ok(new Set(statuses).size >= 8, `many verdicts: ${[...new Set(statuses)].join()}`)
  t.ok(
    new Set(seen().map(([name]) => name)).size >= 7,
    `many events: ${[...new Set(seen().map(([name]) => name))].join()}`
  )
  const told = log.text() + inspect(seen(), { depth: Infinity, showHidden: true })
  t.ok(log.lines().length > 60)
  t.match(told, String(peek(first.body.access_token).sid))
  const secrets = [...tokens].flatMap((token) => {
    const [, payload = '', signature = ''] = token.split('.')
    const { key } = peek(token)
    return [payload, signature, ...(typeof key === 'string' ? [key] : [])]
  })
  t.ok(secrets.length > 30)
  for (const text of [secret, 'ada@example.com', ...secrets]) t.notOk(told.includes(text))
})
