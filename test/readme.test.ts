import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyRedis from '@fastify/redis'
import t from 'tap'
import authPlugin, { MemoryStore } from '../lib/index'
import { emit } from '../lib/events'
import { secret } from './app'
import { redisFor } from './servers/redis'

const readme = readFileSync(join(__dirname, '..', 'README.md'), 'utf8')

/** A snippet of the README, with the heading that it stands under. */
interface Snippet { heading: string, code: string }

const snippets: Snippet[] = []
for (const [section] of readme.matchAll(/^##.*?(?=^##|$(?![\s\S]))/gms)) {
  const [heading = ''] = section.split('\n')
  for (const [, code = ''] of section.matchAll(/^```js\n(.*?)^```$/gms)) snippets.push({ heading: heading.replace(/^#+ /, ''), code })
}

const AsyncFunction = (async () => {}).constructor as new (...args: string[]) => (...args: unknown[]) => Promise<unknown>

/** Runs a snippet: what it imports, and what it takes for granted, comes from `scope`; answers the value of `result`. */
async function run ({ code }: Snippet, scope: Record<string, unknown>, result = 'undefined'): Promise<unknown> {
  const body = code.replace(/^import (.*) from '(.*)'$/gm, (_, names: string) => {
    for (const name of names.match(/\w+/g) ?? []) if (!(name in scope)) throw new Error(`the snippet imports ${name}, which the test does not know`)
    return ''
  })
  return await new AsyncFunction(...Object.keys(scope), `${body}\nreturn ${result}`)(...Object.values(scope))
}

const store = new MemoryStore()
const given = { Fastify, fastifyRedis, authPlugin, MemoryStore, store, process: { env: { AUTH_SECRET: secret } } }

/** An application that snippets add routes to, and a login of ada's. */
async function application (t: { teardown: (done: () => unknown) => unknown }, snippet: Snippet) {
  const fastify = Fastify()
  t.teardown(async () => await fastify.close())
  await fastify.register(authPlugin, { secret, store: new MemoryStore() })
  await run(snippet, { fastify })
  if (!fastify.hasRoute({ method: 'POST', url: '/login' })) fastify.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  const login = async (payload: object = {}) => await fastify.inject({ method: 'POST', url: '/login', payload })
  return { fastify, login }
}

const bearer = (response: { json: () => { access_token: string } }) => ({ authorization: `Bearer ${response.json().access_token}` })

type Check = (t: InstanceType<typeof import('tap').Test>, snippet: Snippet) => Promise<void>

const checks: Record<string, Check[]> = {
  'Quick start': [
    async (t, snippet) => {
      const { path } = await redisFor(t)
      const user = { id: 'ada', role: 'admin' }
      const checkPassword = async (body: { password: string }) => body.password === 'right' ? user : null
      // The addresses are the reader's; everything else runs as it stands.
      const code = snippet.code.replace('{ url: process.env.REDIS_URL }', '{ path }').replace('logger: true', 'logger: false').replace('port: 3000', 'port: 0')
      const fastify = await run({ ...snippet, code }, { ...given, path, checkPassword }, 'fastify') as FastifyInstance
      t.teardown(async () => await fastify.close())
      t.equal((await fastify.inject({ method: 'POST', url: '/login', payload: { password: 'wrong' } })).statusCode, 401)
      const login = await fastify.inject({ method: 'POST', url: '/login', payload: { password: 'right' } })
      t.match((await fastify.inject({ url: '/me', headers: bearer(login) })).json(), { sub: 'ada', role: 'admin' })
      const [{ name, value } = { name: '', value: '' }] = login.cookies
      t.equal((await fastify.inject({ method: 'POST', url: '/auth/refresh', cookies: { [name]: value } })).statusCode, 200)
      t.equal((await fastify.inject({ method: 'POST', url: '/auth/logout', cookies: { [name]: value } })).statusCode, 204)
    },
    async (t, snippet) => {
      const fastify = await run(snippet, given, 'fastify') as FastifyInstance
      t.teardown(async () => await fastify.close())
      t.ok(fastify.hasRoute({ method: 'POST', url: '/auth/refresh' }))
    },
    async (t, snippet) => {
      const { createClient } = await import('../lib/client/client.mjs')
      const fastify = Fastify()
      t.teardown(async () => await fastify.close())
      await fastify.register(authPlugin, { secret, store: new MemoryStore() })
      fastify.post('/login', async (request, reply) => await reply.login({ sub: (request.body as { username: string }).username }))
      fastify.get('/me', { onRequest: fastify.authenticate }, async ({ user }) => user)
      const origin = await fastify.listen({ port: 0, host: '127.0.0.1' })
      // In a browser the page's own address completes this path.
      const here = (options: { prefix: string }) => createClient({ ...options, prefix: `${origin}${options.prefix}` })
      const response = await run(snippet, { createClient: here, showLogin () {}, username: 'ada', password: 'x' }, 'response') as Response
      t.match(await response.json(), { sub: 'ada' })
    }
  ],
  'Log in': [async (t, snippet) => {
    const { fastify, login } = await application(t, snippet)
    t.match((await login({ name: 'ada', remember: false })).headers['set-cookie'], /^(?!.*Max-Age)/)
    t.match((await login({ name: 'ada' })).headers['set-cookie'], /Max-Age/)
    t.match(await fastify.sessions.list('ada'), [{ device: 'lightMyRequest' }, {}])
  }],
  Refresh: [async (t, snippet) => {
    const fastify = Fastify()
    t.teardown(async () => await fastify.close())
    const user = { blocked: false, role: 'admin' }
    await run(snippet, { ...given, fastify, users: { find: async () => user } })
    fastify.post('/login', async (_request, reply) => await reply.login({ sub: 'ada', role: 'member' }))
    fastify.get('/me', { onRequest: fastify.authenticate }, async ({ user }) => user)
    const [{ name, value } = { name: '', value: '' }] = (await fastify.inject({ method: 'POST', url: '/login' })).cookies
    const refresh = async (value: string) => await fastify.inject({ method: 'POST', url: '/auth/refresh', cookies: { [name]: value } })
    const refreshed = await refresh(value)
    t.match((await fastify.inject({ url: '/me', headers: bearer(refreshed) })).json(), { role: 'admin' })
    user.blocked = true
    t.equal((await refresh(refreshed.cookies[0]?.value ?? '')).json().code, 'SESSION_REVOKED')
  }],
  Guard: [async (t, snippet) => {
    const { fastify, login } = await application(t, snippet)
    const headers = bearer(await login())
    t.match((await fastify.inject({ url: '/account', headers })).json(), { user: { sub: 'ada' } })
    t.equal((await fastify.inject({ url: '/account' })).statusCode, 401)
    t.equal((await fastify.inject({ method: 'POST', url: '/password', headers })).body, 'changed')
    await fastify.sessions.revokeAll('ada')
    t.equal((await fastify.inject({ method: 'POST', url: '/password', headers })).json().code, 'SESSION_REVOKED')
  }],
  'Log out': [async (t, snippet) => {
    const { fastify, login } = await application(t, snippet)
    await login()
    const response = await fastify.inject({ method: 'POST', url: '/leave', headers: bearer(await login()) })
    t.equal(response.statusCode, 204)
    t.strictSame(await fastify.sessions.list('ada'), [])
  }],
  'See and end sessions': [async (t, snippet) => {
    const { fastify, login } = await application(t, snippet)
    const headers = bearer(await login())
    await login()
    await login()
    const devices = async () => (await fastify.inject({ url: '/devices', headers })).json<Array<{ sid: string, current: boolean }>>()
    const [, second] = await devices()
    t.strictSame((await devices()).map(({ current }) => current), [true, false, false])
    t.strictSame((await fastify.inject({ method: 'DELETE', url: `/devices/${second?.sid}`, headers })).json(), { ended: true })
    t.strictSame((await fastify.inject({ method: 'DELETE', url: `/devices/${second?.sid}`, headers })).json(), { ended: false })
    t.strictSame((await fastify.inject({ method: 'DELETE', url: '/devices', headers })).json(), { ended: 1 })
    t.match(await devices(), [{ current: true }])
  }],
  Events: [async (t, snippet) => {
    const { subscribe } = await import('node:diagnostics_channel')
    const alarms: string[] = []
    await run(snippet, { subscribe, alarm: (text: string) => alarms.push(text) })
    emit('reuse', { sid: 'x', sub: 'ada', distance: 2, msSinceRotation: 60_000 })
    t.strictSame(alarms, ['session x of ada was ended: a token 2 generations old came back after 60000 ms'])
  }]
}

t.test('every snippet runs and does what it says', async (t) => {
  const counts = new Map<string, number>()
  for (const snippet of snippets) {
    const nth = counts.get(snippet.heading) ?? 0
    counts.set(snippet.heading, nth + 1)
    t.test(`${snippet.heading} ${nth + 1}`, async (t) => {
      const check = checks[snippet.heading]?.[nth]
      if (check === undefined) return t.fail('no test runs this snippet')
      await check(t as Parameters<Check>[0], snippet)
    })
  }
  t.strictSame(Object.fromEntries(counts), Object.fromEntries(Object.entries(checks).map(([heading, list]) => [heading, list.length])))
})
