import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyHelmet from '@fastify/helmet'
import fastifyRateLimit from '@fastify/rate-limit'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import authPlugin from 'fastify-jwt-sessions'
import { Redis } from 'ioredis'
import { createUsers } from './users.js'

const text = { type: 'string', minLength: 1, maxLength: 200 }
const name = { type: 'string', pattern: '^[a-z0-9_-]{1,40}$' }
const password = { ...text, minLength: 10 }
const body = (properties) => {
  return { schema: { body: { type: 'object', required: Object.keys(properties), properties } } }
}
/** So many requests of one address in a minute. */
const limit = (max) => ({ config: { rateLimit: { max, timeWindow: '1 minute' } } })

/** Builds the service, behind so many proxies; further options are Fastify's. */
export async function buildApp ({ secret, redisUrl, proxies = 0, ...options }) {
  // Each proxy has appended an address; what stands before those, the client may have invented.
  const app = Fastify({ ...options, trustProxy: (_address, hop) => hop < proxies })
  // Not by @fastify/redis, which ends a start during which Redis is down.
  const redis = new Redis(redisUrl, { commandTimeout: 2000 })
  redis.on('error', (error) => app.log.error(error))
  app.addHook('onClose', () => redis.disconnect())
  const contentSecurityPolicy = { directives: { upgradeInsecureRequests: null } }
  await app.register(fastifyHelmet, { contentSecurityPolicy })
  await app.register(fastifyRateLimit, { global: false })
  await app.register(authPlugin, {
    secret,
    redis,
    revocation: 'push', // a device that is signed out is out at once
    routes: { refresh: limit(60) },
    onReuse: ({ sub }, request) => {
      request.log.warn({ sub }, 'tell this user that a copy of their login was used')
    }
  })
  const users = await createUsers(redis)

  // The second limit, by name, holds against guesses that come from many addresses.
  const count = app.createRateLimit({
    max: 20, timeWindow: '15 minutes', keyGenerator: ({ user, body }) => user?.sub ?? body.name
  })
  const guesses = async (request, reply) => {
    const { isExceeded, ttlInSeconds } = await count(request)
    if (!isExceeded) return
    const message = 'There were too many guesses at this password. Try again later.'
    return await reply.code(429).header('retry-after', ttlInSeconds).send({ message })
  }

  const enter = async ({ body: { name, remember }, headers }, reply) => {
    return await reply.login({ sub: name }, { device: headers['user-agent'], remember })
  }

  app.post('/signup', { ...body({ name, password }), ...limit(5) }, async (request, reply) => {
    if (await users.create(request.body.name, request.body.password)) {
      return await enter(request, reply)
    }
    return await reply.code(409).send({ message: 'This name is taken.' })
  })

  app.post('/login', {
    ...body({ name: text, password: text }), ...limit(10), preHandler: guesses
  }, async (request, reply) => {
    if (await users.check(request.body.name, request.body.password)) {
      return await enter(request, reply)
    }
    return await reply.code(403).send({ message: 'Wrong name or password' })
  })

  await app.register(async (account) => {
    account.addHook('onRequest', account.authenticate)

    account.get('/', async ({ user, sid: current }) => {
      const sessions = await app.sessions.list(user.sub)
      const devices = sessions.map(({ sid, device, createdAt, refreshedAt }) => {
        // To the minute: who knows the very moment could refresh right after the owner.
        const seenAt = Math.max(createdAt, refreshedAt - refreshedAt % 60_000)
        return { sid, device, createdAt, refreshedAt: seenAt, current: sid === current }
      })
      return { name: user.sub, devices }
    })

    account.delete('/devices/:sid', async ({ user, params }, reply) => {
      return await reply.code(await app.sessions.revoke(user.sub, params.sid) ? 204 : 404).send()
    })

    account.put('/password', {
      ...body({ old: text, new: password }), ...limit(5), preHandler: guesses
    }, async ({ user, sid, body }, reply) => {
      if (!await users.check(user.sub, body.old)) {
        return await reply.code(403).send({ message: 'Wrong password' })
      }
      await users.change(user.sub, body.new)
      await app.sessions.revokeAll(user.sub, { except: sid })
      return await reply.code(204).send()
    })

    const recently = async (request) => { await request.authenticate({ maxAge: '10m' }) }
    account.delete('/', { preHandler: recently }, async (request, reply) => {
      await users.remove(request.user.sub)
      await reply.logout({ all: true })
      return await reply.code(204).send()
    })
  }, { prefix: '/account' })

  const client = dirname(fileURLToPath(import.meta.resolve('fastify-jwt-sessions/client')))
  await app.register(fastifyStatic, { root: fileURLToPath(new URL('public', import.meta.url)) })
  await app.register(fastifyStatic, { root: client, prefix: '/client/', decorateReply: false })
  return app
}
