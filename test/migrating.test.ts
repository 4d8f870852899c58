import { createHash } from 'node:crypto'
import fastifyCookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import fastifySession from '@fastify/session'
import Fastify, { type FastifyInstance, type FastifyRequest, type preHandlerAsyncHookHandler } from 'fastify'
import type { Redis } from 'ioredis'
import t from 'tap'
import authPlugin from '../lib/index'
import { peek, secret, toClient } from './support/app'
import { recipe } from './support/recipe'
import { redisFor } from './support/servers/redis'

const page = 'docs/migrating.md'

type Find = (request: FastifyRequest) => Promise<{ token: string, claims: { sub: string } } | null>

/** An application of an old design, and its users' way in. */
interface Old {
  register: (app: FastifyInstance, redis: Redis) => Promise<Find>
  /** Answers the Cookie header of one who is logged in. */
  enter: (app: FastifyInstance, redis: Redis) => Promise<string>
}

const designs: Record<string, Old> = {
  'hand-written @fastify/jwt routes': {
    register: async (app) => {
      await app.register(fastifyJwt, { secret: 'the old secret of the application' })
      return (await recipe<{ stateless: (app: FastifyInstance) => Find }>(page, 'const stateless')).stateless(app)
    },
    enter: async (app) => `refreshToken=${app.jwt.sign({ sub: 'ada', role: 'member' }, { expiresIn: '14d' })}`
  },
  'one refresh token per user': {
    register: async (_app, redis) => (await recipe<{ onePerUser: (redis: Redis) => Find }>(page, 'const onePerUser')).onePerUser(redis),
    enter: async (_app, redis) => {
      const token = 'ada.a-random-token-of-the-old-design'
      await redis.set('refresh:ada', createHash('sha256').update(token).digest('hex'), 'EX', 1000)
      return `refreshToken=${token}`
    }
  },
  '@fastify/session': {
    register: async (app) => {
      await app.register(fastifySession, { secret: 'a secret of thirty-two bytes or more too', cookie: { secure: false } })
      app.post('/old/login', async (request) => { request.session.set('user' as never, { id: 'ada' } as never) })
      return (await recipe<{ bySession: Find }>(page, 'const bySession')).bySession
    },
    enter: async (app) => {
      const [cookie] = (await app.inject({ method: 'POST', url: '/old/login' })).cookies
      return `${cookie?.name}=${encodeURIComponent(cookie?.value ?? '')}`
    }
  }
}

for (const [name, { register, enter }] of Object.entries(designs)) {
  t.test(`who is logged in by ${name} is turned over to a session, and logged out nowhere`, async (t) => {
    const redis = (await redisFor(t)).client()
    const app = Fastify()
    t.teardown(async () => await app.close())
    const { turnOver } = await recipe<{ turnOver: (redis: Redis, find: Find) => preHandlerAsyncHookHandler }>(page, 'function turnOver')
    await app.register(fastifyCookie)
    const find = await register(app, redis)
    await app.register(authPlugin, { secret, redis, routes: { refresh: { preHandler: turnOver(redis, find) } } })

    const refresh = async (cookie = '') => await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie } })
    const old = await enter(app, redis)
    const [one, other] = await Promise.all([refresh(old), refresh(old)])
    const tabs = [toClient(one), toClient(other)]
    for (const { body, cookie } of tabs) {
      t.equal(peek(body.access_token).sub, 'ada')
      const next = toClient(await refresh(`${old}; ${cookie}`))
      t.equal(peek(next.body.access_token).sid, peek(body.access_token).sid, 'from then on it is the session that is refreshed')
    }
    t.equal((await app.sessions.list('ada')).length, 2)
    toClient(await refresh(old))

    const [key = ''] = await redis.keys('turned-over:*')
    t.ok(await redis.pttl(key) > 0)
    await redis.set(key, Date.now() - 61_000, 'KEEPTTL')
    t.match((await refresh(old)).json(), { code: 'REFRESH_TOKEN_MISSING' }, 'after a minute an old login is spent')
    t.match((await refresh(old.replace(/.{8}$/, 'AAAAAAAA'))).json(), { code: 'REFRESH_TOKEN_MISSING' }, 'a forged one never worked')
    t.match((await refresh()).json(), { code: 'REFRESH_TOKEN_MISSING' })
  })
}
