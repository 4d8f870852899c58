import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import fastifySession from '@fastify/session'
import Fastify, {
  type FastifyInstance, type FastifyRequest, type preHandlerAsyncHookHandler
} from 'fastify'
import type { Redis } from 'ioredis'
import t from 'tap'
import authPlugin, { MemoryStore } from '../lib/index'
import { minute, peek, secret, TestClock, toClient } from './support/app'
import { access, Jar, namesOf, refresh, start } from './support/cookie-mode'
import { apply, recipe } from './support/recipe'
import { redisFor } from './support/servers/redis'

const page = 'docs/migrating.md'

type Find = (request: FastifyRequest) => Promise<{ token: string, claims: { sub: string } } | null>

/** An application of an old design, and its users' way in. */
interface Old {
  register: (app: FastifyInstance, redis: Redis) => Promise<Find>
  /** Answers the Cookie header of one who is logged in. */
  enter: (app: FastifyInstance, redis: Redis) => Promise<string>
}

interface Recipe {
  turnOver: (redis: Redis, find: Find) =>
  Record<'enter' | 'leave', preHandlerAsyncHookHandler>
  endOldLogins: (redis: Redis, sub: string) => Promise<void>
}

let logins = 0

const designs: Record<string, Old> = {
  'hand-written @fastify/jwt routes': {
    register: async (app) => {
      await app.register(fastifyJwt, { secret: 'the old secret of the application' })
      type Old = { stateless: (app: FastifyInstance) => Find }
      return (await recipe<Old>(page, 'const stateless')).stateless(app)
    },
    enter: async (app) => {
      const token = app.jwt.sign({ sub: 'ada', role: 'member', n: logins++ }, { expiresIn: '14d' })
      return `refreshToken=${token}`
    }
  },
  'one refresh token per user': {
    register: async (_app, redis) => {
      type Old = { onePerUser: (redis: Redis) => Find }
      return (await recipe<Old>(page, 'const onePerUser')).onePerUser(redis)
    },
    enter: async (_app, redis) => {
      const token = `ada.a-random-token-of-the-old-design-${logins++}`
      await redis.set('refresh:ada', createHash('sha256').update(token).digest('hex'), 'EX', 1000)
      return `refreshToken=${token}`
    }
  },
  '@fastify/session': {
    register: async (app) => {
      const secret = 'a secret of thirty-two bytes or more too'
      await app.register(fastifySession, { secret, cookie: { secure: false } })
      app.post('/old/login', async ({ session }) => {
        session.set('user' as never, { id: 'ada' } as never)
      })
      return (await recipe<{ bySession: Find }>(page, 'const bySession')).bySession
    },
    enter: async (app) => {
      const [cookie] = (await app.inject({ method: 'POST', url: '/old/login' })).cookies
      return `${cookie?.name}=${encodeURIComponent(cookie?.value ?? '')}`
    }
  }
}

for (const [name, { register, enter }] of Object.entries(designs)) {
  t.test(`who is logged in by ${name} is turned over to a session`, async (t) => {
    const redis = (await redisFor(t)).client()
    const app = Fastify()
    t.teardown(async () => await app.close())
    const { turnOver, endOldLogins } = await recipe<Recipe>(page, 'function turnOver')
    await app.register(fastifyCookie)
    const find = await register(app, redis)
    const hooks = turnOver(redis, find)
    const routes = { refresh: { preHandler: hooks.enter }, logout: { preHandler: hooks.leave } }
    await app.register(authPlugin, { secret, redis, routes })

    const post = async (route: string, cookie: string) =>
      await app.inject({ method: 'POST', url: `/auth/${route}`, headers: { cookie } })
    const refresh = async (cookie = '') => await post('refresh', cookie)
    const isCleared = ({ cookies }: Awaited<ReturnType<typeof post>>) =>
      cookies.some(({ name, value }) => name === 'refreshToken' && value === '')
    const old = await enter(app, redis)
    const inCookie = old.startsWith('refreshToken=')
    const [one, other] = await Promise.all([refresh(old), refresh(old)])
    t.equal(isCleared(one), inCookie, 'with the new cookie the old one goes')
    const tabs = [toClient(one), toClient(other)]
    for (const { body, cookie } of tabs) {
      t.equal(peek(body.access_token).sub, 'ada')
      const next = toClient(await refresh(`${old}; ${cookie}`))
      const [now, before] = [next, { body }].map(({ body }) => peek(body.access_token).sid)
      t.equal(now, before, 'from then on it is the session that is refreshed')
    }
    t.equal((await app.sessions.list('ada')).length, 2)
    toClient(await refresh(old))

    const [key = ''] = await redis.keys('turned-over:*')
    t.ok(await redis.pttl(key) > 0)
    await redis.set(key, Date.now() - 61_000, 'KEEPTTL')
    const missing = { code: 'REFRESH_TOKEN_MISSING' }
    t.match((await refresh(old)).json(), missing, 'after a minute an old login is spent')
    const forged = old.replace(/.{8}$/, 'AAAAAAAA')
    t.match((await refresh(forged)).json(), missing, 'a forged one never worked')
    t.match((await refresh()).json(), missing)

    const { cookie } = toClient(await refresh(await enter(app, redis)))
    const again = await enter(app, redis)
    const left = await post('logout', `${again}; ${cookie}`)
    t.equal(left.statusCode, 204)
    t.equal(isCleared(left), inCookie)
    t.match((await refresh(again)).json(), missing, 'after a logout it is spent at once')
    const [unused, before] = [await enter(app, redis), await enter(app, redis)]
    toClient(await refresh(before))
    await endOldLogins(redis, 'ada')
    await app.sessions.revokeAll('ada')
    for (const each of [before, unused]) t.match((await refresh(each)).json(), missing)

    await redis.flushall()
    const { set } = redis
    redis.set = (async (...args: Parameters<typeof set>) => {
      redis.set = set
      const reply = await redis.set(...args)
      await endOldLogins(redis, 'ada')
      await app.sessions.revokeAll('ada')
      return reply
    }) as typeof set
    t.equal((await refresh(await enter(app, redis))).statusCode, 401, 'ended while it logs in')
    t.strictSame(await app.sessions.list('ada'), [])
  })
}

t.test('pages on @fastify/session turn over to cookie mode, without a new login', async (t) => {
  const redis = (await redisFor(t)).client()
  const sessions = new Map<string, object>()
  const store = {
    set: (id: string, session: object, done: () => void) => { sessions.set(id, session); done() },
    get: (id: string, done: (error: null, session?: object) => void) => {
      done(null, sessions.get(id))
    },
    destroy: (id: string, done: () => void) => { sessions.delete(id); done() }
  }
  const oldOptions = {
    secret: 'the secret of the old sessions, long enough', cookie: { secure: false }, store
  }
  const old = Fastify()
  t.teardown(async () => await old.close())
  await old.register(fastifyCookie)
  await old.register(fastifySession, oldOptions as never)
  old.get('/in/:id', async (request) => {
    request.session.set('user' as never, { id: (request.params as { id: string }).id } as never)
  })

  const app = Fastify()
  t.teardown(async () => await app.close())
  const { turnOver } = await recipe<{ turnOver: unknown }>(page, 'function turnOver')
  const { bySession } = await recipe<{ bySession: unknown }>(page, 'const bySession')
  const { landing } = await recipe<{ landing: unknown }>('docs/pages.md', 'function landing')
  await apply(page, 'session.destroy', app, {
    authPlugin, redis, secret, turnOver, bySession, landing, oldOptions, checkPassword: null
  })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  app.post('/text', { onRequest: app.authenticate }, async ({ body }) => body)

  const enter = async (id: string): Promise<Jar> => {
    const jar = new Jar()
    jar.take(await old.inject(`/in/${id}`))
    return jar
  }
  // As a browser does: it keeps cookies, and repeats what a 307 says.
  const visit = async (jar: Jar, url: string, payload?: object) => {
    for (;;) {
      const cookie = [...jar.cookies].map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      const response = await app.inject({
        ...payload === undefined ? {} : { method: 'POST', payload },
        url,
        headers: { cookie: cookie.join('; ') }
      })
      jar.take(response)
      if (response.statusCode !== 307) return response
      url = String(response.headers.location)
    }
  }
  const ada = await enter('ada')
  t.match((await visit(ada, '/me')).json(), { sub: 'ada' })
  const bob = await enter('bob')
  t.strictSame((await visit(bob, '/text', { text: 'kept' })).json(), { text: 'kept' })
  t.ok(bob.cookies.has(access) && bob.cookies.has(refresh))
  const set = namesOf(await visit(ada, '/me'))
  t.notOk(set.includes(access) || set.includes(refresh), 'once')
  t.equal((await app.sessions.list('ada')).length, 1)

  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  for (const path of ['//evil.example', '/\\evil.example/x', '/\\/evil.example', '///evil.example']) {
    const headers = { cookie: (await enter('mallory')).header }
    const asked = request({ host: '127.0.0.1', port, path, headers }).end()
    const [answer] = await once(asked, 'response') as [IncomingMessage]
    answer.resume()
    const { statusCode, headers: { location = '' } } = answer
    t.equal(statusCode, 307)
    t.equal(new URL(location, 'http://self.invalid').host, 'self.invalid', `${path} → ${location}`)
  }

  const left = await visit(ada, '/logout', {})
  t.equal(left.statusCode, 303)
  t.equal((await visit(ada, '/me')).statusCode, 401, 'out of the old session as well')
  t.equal((await visit(new Jar(), '/me')).statusCode, 401)
  const foreign = await app.inject({
    method: 'POST',
    url: '/text',
    headers: { cookie: (await enter('eve')).header, origin: 'https://evil.example' }
  })
  t.match(foreign.json(), { code: 'CROSS_ORIGIN_REQUEST' })
})

t.test('cookie mode is turned on in a live application, and nobody is logged out', async (t) => {
  const clock = new TestClock()
  const store = new MemoryStore(clock)
  const before = await start(t, { store, accessToken: {} })
  const jar = await before.login()
  const { access_token: token } = jar.response.json()
  t.strictSame([...jar.cookies.keys()], [refresh])
  for (const passed of [0, 31 * minute]) {
    clock.pass(passed)
    const after = await start(t, { store })
    const headers = { authorization: `Bearer ${token}` }
    t.equal((await after.send(new Jar(), '/me', { headers })).statusCode, passed === 0 ? 200 : 401)
    const copy = jar.copy()
    const renewed = await after.visit(copy, '/me')
    t.strictSame(namesOf(renewed), [access, refresh])
    clock.pass(31 * minute)
    t.equal((await after.visit(copy, '/me')).statusCode, 200)
    const back = await start(t, { store, accessToken: {} })
    const refreshed = await back.send(copy, '/auth/refresh', { method: 'POST' })
    t.equal(refreshed.statusCode, 200, 'and turned off again')
    jar.take(refreshed)
  }
})
