import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyHelmet from '@fastify/helmet'
import fastifyRateLimit from '@fastify/rate-limit'
import fastifyRedis from '@fastify/redis'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import authPlugin from 'fastify-jwt-sessions'
import { createUsers } from './users.js'

const text = { type: 'string', minLength: 1, maxLength: 200 }
const name = { type: 'string', pattern: '^[a-z0-9_-]{1,40}$' }
const password = { ...text, minLength: 10 }
const body = (properties) => ({ schema: { body: { type: 'object', required: Object.keys(properties), properties } } })
const limit = (max) => ({ config: { rateLimit: { max, timeWindow: '1 minute' } } })

/** Builds the service; further options are Fastify's. */
export async function buildApp ({ secret, redisUrl, ...options }) {
  const app = Fastify(options)
  await app.register(fastifyRedis, { url: redisUrl })
  await app.register(fastifyHelmet, { contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } })
  await app.register(fastifyRateLimit, { global: false })
  await app.register(authPlugin, {
    secret,
    revocation: 'push', // a device that is signed out is out at once
    routes: { refresh: limit(60) },
    onReuse: ({ sub }, request) => request.log.warn({ sub }, 'tell this user that a copy of their login was used')
  })
  const users = await createUsers(app.redis)
  const enter = async (request, reply) => await reply.login({ sub: request.body.name }, { device: request.headers['user-agent'], remember: request.body.remember })

  app.post('/signup', { ...body({ name, password }), ...limit(5) }, async (request, reply) => {
    if (!await users.create(request.body.name, request.body.password)) return await reply.code(409).send({ message: 'This name is taken.' })
    return await enter(request, reply)
  })

  app.post('/login', { ...body({ name: text, password: text }), ...limit(10) }, async (request, reply) => {
    if (!await users.check(request.body.name, request.body.password)) return await reply.code(403).send({ message: 'This name and password do not go together.' })
    return await enter(request, reply)
  })

  await app.register(async (account) => {
    account.addHook('onRequest', account.authenticate)

    account.get('/', async ({ user, sid: current }) => {
      const sessions = await app.sessions.list(user.sub)
      return { name: user.sub, devices: sessions.map(({ sid, device, createdAt, refreshedAt }) => ({ sid, device, createdAt, refreshedAt, current: sid === current })) }
    })

    account.delete('/devices/:sid', async ({ user, params }, reply) => {
      return await reply.code(await app.sessions.revoke(user.sub, params.sid) ? 204 : 404).send()
    })

    account.put('/password', { ...body({ old: text, new: password }), ...limit(5) }, async ({ user, sid, body }, reply) => {
      if (!await users.check(user.sub, body.old)) return await reply.code(403).send({ message: 'The old password is another.' })
      await users.change(user.sub, body.new)
      await app.sessions.revokeAll(user.sub, { except: sid })
      return await reply.code(204).send()
    })

    account.delete('/', { preHandler: async (request) => { await request.authenticate({ maxAge: '10m' }) } }, async (request, reply) => {
      await users.remove(request.user.sub)
      await reply.logout({ all: true })
      return await reply.code(204).send()
    })
  }, { prefix: '/account' })

  await app.register(fastifyStatic, { root: fileURLToPath(new URL('public', import.meta.url)) })
  await app.register(fastifyStatic, { root: dirname(fileURLToPath(import.meta.resolve('fastify-jwt-sessions/client'))), prefix: '/client/', decorateReply: false })
  return app
}
