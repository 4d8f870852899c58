import fastifyWebsocket from '@fastify/websocket'
import axios from 'axios'
import ky from 'ky'
import { QueryClient } from '@tanstack/query-core'
import type { Client as Subscriptions } from 'graphql-ws'
import type { Socket } from 'socket.io-client'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import { createClient, type Client } from '../lib/client/client.mjs'
import helpers from './support/app.js'
import down from './support/down-store.js'
import recipes from './support/recipe.js'
import ports from './support/servers/free-port.js'

const page = 'docs/recipes.md'
const viaBody = { claims: { sub: 'ada' }, options: { transport: 'body' } }
type Setup = NonNullable<Parameters<typeof helpers.build>[1]>

/** A client that is logged in at a server, and whose access token runs out at once. */
async function start (
  t: Pick<Test, 'teardown'>, onSessionEnd?: (reason: string) => void, options: Setup = {}
) {
  const { app, clock } = await helpers.build(t, {
    refreshToken: { transports: ['body'] }, ...options
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  let kept: string | undefined
  const storage = {
    get: () => kept,
    set: (token: string) => {
      kept = token
    },
    clear: () => {
      kept = undefined
    }
  }
  const auth: Client = createClient({
    prefix: `${app.listeningOrigin}/auth`, storage, onSessionEnd
  })
  await auth.login('/login', viaBody)
  const runOut = () => clock.pass(31 * helpers.minute)
  // The tokens that were there before run out, and the client has another one.
  const turnOver = async () => {
    clock.pass(20 * helpers.minute)
    await auth.refresh()
    clock.pass(11 * helpers.minute)
  }
  return { app, auth, origin: app.listeningOrigin, runOut, turnOver }
}

t.test('axios goes through the client', async (t) => {
  const { auth, origin, runOut } = await start(t)
  const api = axios.create({
    baseURL: origin,
    adapter: 'fetch',
    env: { fetch: auth.fetch, Request: undefined, Response: undefined }
  })
  runOut()
  t.match((await api.get('/me')).data, { user: { sub: 'ada' } })
  await auth.logout()
  t.match(await api.get('/me').catch((error: unknown) => error), { response: { status: 401 } })
})

t.test('ky goes through the client', async (t) => {
  const { auth, origin, runOut } = await start(t)
  const api = ky.create({ fetch: auth.fetch })
  runOut()
  t.match(await api.get(`${origin}/me`).json(), { user: { sub: 'ada' } })
  await auth.logout()
  t.match(await api.get(`${origin}/me`).catch((error: unknown) => error), {
    response: { status: 401 }
  })
})

t.test('TanStack Query asks through the client, and forgets what a user saw', async (t) => {
  const queries = new QueryClient()
  t.teardown(async () => { queries.clear() })
  const { auth, origin, runOut } = await start(t, () => queries.clear())
  async function load<T> (url: string, signal: AbortSignal): Promise<T> {
    const response = await auth.fetch(url, { signal })
    if (!response.ok) {
      throw Object.assign(new Error(`${response.status} ${url}`), { status: response.status })
    }
    return await response.json() as T
  }
  const me = {
    queryKey: ['me'],
    queryFn: async ({ signal }: { signal: AbortSignal }) =>
      await load<{ user: { sub: string } }>(`${origin}/me`, signal),
    retry: (count: number, { status }: Error & { status?: number }) => status !== 401 && count < 3
  }
  runOut()
  t.match(await queries.fetchQuery(me), { user: { sub: 'ada' } })
  await auth.logout()
  t.equal(queries.getQueryData(['me']), undefined)
  t.match(
    await queries.fetchQuery(me).catch((error: unknown) => error),
    { status: 401 },
    'at once, without three more attempts'
  )
})

/** Adds a block of the page to a server, and what the page says before it. */
const withTokens = (words: string, given: object = {}, change = (code: string) => code) =>
  async (fastify: Parameters<typeof recipes.apply>[2]): Promise<void> => {
    const requestOf = await recipes.run(page, 'function requestOf', { fastify }, 'requestOf')
    const whenEnded = await recipes.run('docs/pages.md', 'function whenEnded', {}, 'whenEnded',
      (code) => code.replace(', 1000)', ', 20)'))
    await recipes.apply(page, words, fastify, { requestOf, whenEnded, ...given }, change)
  }

const hello = async (socket: Socket) =>
  await new Promise<string>((resolve) => { socket.once('hello', resolve) })
const refusal = async (socket: Socket) => await new Promise<string>((resolve) => {
  socket.once('connect_error', ({ message }) => resolve(message))
})

/** The socket of a page, as the recipe has it. */
async function openSocket (t: Test, origin: string, auth: object): Promise<Socket> {
  const socket = await recipes.run<Socket>(page, 'socket.io-client', { auth }, 'socket', (code) =>
    code.replace('io({', `io('${origin}', { forceNew: true,`))
  t.teardown(() => { socket.close() })
  return socket
}

/** Gives the server of the recipe options. */
const withOptions = (options: string) => (code: string): string =>
  code.replace('fastify.server)', `fastify.server, { ${options} })`)

for (const options of ['', 'connectionStateRecovery: { skipMiddlewares: false }']) {
  t.test(`socket.io is sent fresh tokens, and ends with the session ${options}`, async (t) =>
    await followSession(t, withOptions(options)))
}

/** Follows a socket from its login until its session ends. */
async function followSession (t: Test, change: (code: string) => string) {
  let end = (_reason: string) => {}
  const ended = new Promise<string>((resolve) => { end = resolve })
  const { app, auth, origin, runOut, turnOver } = await start(
    t, (reason) => end(reason), { revocation: 'push', extend: withTokens('new Server(', {}, change) }
  )
  const socket = await openSocket(t, origin, auth)
  t.equal(await hello(socket), 'ada')
  const refused: string[] = []
  socket.on('connect_error', ({ message }) => refused.push(message))

  await turnOver()
  t.equal(await hello(socket), 'ada', 'with the token that the client has by now')
  t.strictSame(refused, [])

  runOut()
  t.equal(await hello(socket), 'ada', 'the client has learned that its token had run out')
  t.strictSame(refused, ['ACCESS_TOKEN_EXPIRED'])

  const refusedAgain = refusal(socket)
  const closed = new Promise((resolve) => { socket.once('disconnect', resolve) })
  await app.sessions.revokeAll('ada')
  t.equal(await closed, 'transport close')
  t.equal(await refusedAgain, 'SESSION_REVOKED')
  t.equal(await ended, 'revoked')
  t.equal(socket.active, false, 'it does not come back')
}

t.test('socket.io lets nobody in without a token, and an outage is not the end', async (t) => {
  const { auth, origin } = await start(t, undefined, {
    extend: withTokens('new Server(', {}, withOptions('connectTimeout: 500'))
  })
  const refresh = async (): Promise<boolean> => false
  for (const token of [undefined, 'x']) {
    const socket = await openSocket(t, origin, { accessToken: async () => token, refresh })
    t.equal(await refusal(socket), 'ACCESS_TOKEN_INVALID')
  }
  let times = 0
  const failing = async () => {
    if (times++ === 0) throw new Error('refresh failed')
    return await auth.accessToken()
  }
  t.equal(await hello(await openSocket(t, origin, { accessToken: failing, refresh })), 'ada')
  t.ok(times > 1)
})

t.test('socket.io beside @fastify/websocket polls, unless it has a port of its own', async (t) => {
  const port = await ports.freePort()
  for (const [place, transport] of [['fastify.server', 'polling'], [String(port), 'websocket']]) {
    const add = withTokens('new Server(', {}, (code) => code.replace('fastify.server', `${place}`))
    const { auth, origin } = await start(t, undefined, {
      extend: async (fastify) => {
        await fastify.register(fastifyWebsocket)
        await add(fastify)
      }
    })
    const url = transport === 'polling' ? origin : `http://127.0.0.1:${port}`
    const socket = await openSocket(t, url, auth)
    const { engine } = socket.io
    const upgraded = await new Promise((resolve) => {
      engine.once('upgrade', ({ name }) => resolve(name))
      engine.once('upgradeError', () => resolve(engine.transport.name))
    })
    t.equal(upgraded, transport)
  }
})

interface Context {
  user: { sub: string }
  pubsub: { subscribe: (topic: string) => Promise<AsyncIterable<object>> }
}

const graphql = {
  schema: 'type Query { me: String } type Subscription { news: String }',
  resolvers: {
    Query: { me: (_parent: unknown, _args: unknown, { user }: Context) => user.sub },
    Subscription: {
      news: {
        // Each subscriber is told who it is; then comes what is published.
        async * subscribe (_parent: unknown, _args: unknown, { user, pubsub }: Context) {
          const news = await pubsub.subscribe('news')
          yield { news: user.sub }
          yield * news
        }
      }
    }
  }
}

t.test('mercurius guards each request, and a subscription lives as long as its session', async (t) => {
  const { app, auth, origin, runOut, turnOver } = await start(t, undefined, {
    revocation: 'push', extend: withTokens('fastify.register(mercurius', graphql)
  })
  for (const request of [
    { url: '/graphql?query={me}' },
    { url: '/graphql', method: 'POST' as const, payload: { query: '{ me }' } }
  ]) {
    const refused = await app.inject(request)
    t.match(refused.json(), { statusCode: 401, code: 'ACCESS_TOKEN_MISSING' })
    t.equal(refused.headers['www-authenticate'], 'Bearer')
  }
  const query = async () => await (await auth.fetch(`${origin}/graphql?query={me}`)).json()
  t.strictSame(await query(), { data: { me: 'ada' } })
  runOut()
  t.strictSame(await query(), { data: { me: 'ada' } }, 'renewed, and repeated')

  const open = async (auth: object) => {
    const url = `${origin.replace('http', 'ws')}/graphql`
    const subscriptions = await recipes.run<Subscriptions>(
      page, "from 'graphql-ws'", { auth, WebSocket }, 'subscriptions', (code) =>
        code.replace('wss://app.example.com/graphql', url).replace('({', '({\nwebSocketImpl: WebSocket,'))
    t.teardown(async () => await subscriptions.dispose())
    const codes: number[] = []
    subscriptions.on('closed', (event) => codes.push((event as { code: number }).code))
    return { codes, news: subscriptions.iterate({ query: 'subscription { news }' }) }
  }
  const { codes, news } = await open(auth)
  const ada = { value: { data: { news: 'ada' } }, done: false }
  t.match(await news.next(), ada)
  await turnOver()
  t.match(await news.next(), ada, 'connected again, with a fresh token')
  t.strictSame(codes, [4403])
  await app.sessions.revokeAll('ada')
  await t.rejects(news.next())
  t.equal(codes[1], 4403)

  for (const accessToken of [async () => undefined, async () => 'x']) {
    await t.rejects((await open({ accessToken })).news.next())
  }
})

interface Trpc { me: { query: () => Promise<string> } }

/** A page that calls its server by tRPC. */
async function startTrpc (t: Test, options: Setup, change?: (code: string) => string) {
  const extend = withTokens('fastifyTRPCPlugin', {}, change)
  const started = await start(t, undefined, { ...options, extend })
  const { auth, origin } = started
  const trpc = await recipes.run<Trpc>(page, 'createTRPCClient', { auth }, 'trpc', (code) =>
    code.replace("'/trpc'", `'${origin}/trpc'`))
  return { ...started, trpc }
}

t.test('tRPC sees the user, and its client renews a token for a whole batch', async (t) => {
  const { app, auth, trpc, runOut } = await startTrpc(t, {})
  const twice = async () => await Promise.all([trpc.me.query(), trpc.me.query()])
  t.strictSame(await twice(), ['ada', 'ada'])
  runOut()
  t.strictSame(await twice(), ['ada', 'ada'])
  t.match(await app.sessions.list('ada'), [{ generation: 2 }])

  await app.sessions.revokeAll('ada')
  runOut()
  const refused = async () => await trpc.me.query().catch((error: unknown) => error)
  t.match(await refused(), { message: 'ACCESS_TOKEN_EXPIRED', data: { code: 'UNAUTHORIZED' } })
  t.equal(await auth.accessToken(), undefined)
  t.match(await refused(), { message: 'ACCESS_TOKEN_MISSING', data: { code: 'UNAUTHORIZED' } })
})

t.test('tRPC: an outage is not the end of a session', async (t) => {
  const store = new down.DownStore()
  store.find = async () => { throw new Error('connect ECONNREFUSED') }
  const { trpc } = await startTrpc(t, { store }, (code) =>
    code.replace('authenticate()', 'authenticate({ live: true })'))
  const error = await trpc.me.query().catch((error: unknown) => error)
  t.match(error, { message: 'STORE_UNAVAILABLE', data: { code: 'SERVICE_UNAVAILABLE' } })
})
