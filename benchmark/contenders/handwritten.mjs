// What applications write for themselves: one session per user, the current refresh token's hash
// under the user's key.
import fastifyCookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import { Redis } from 'ioredis'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { idleLifetime, secret, serve, tokens } from '../serve.mjs'

const script = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`
const hash = (token) => createHash('sha256').update(token).digest('base64url')

/** Each design answers whether the old token was the current one, and has then replaced it. */
const designs = {
  'GET, compare, SET': (redis) => async (key, old, next) => {
    if ((await redis.get(key)) !== old) return false
    await redis.set(key, next, 'EX', idleLifetime)
    return true
  },
  'WATCH, MULTI': (redis) => {
    const idle = Array.from({ length: 64 }, () => redis.duplicate())
    return async (key, old, next) => {
      const own = idle.pop() // a transaction that watches needs its connection for itself
      await own.watch(key)
      const swapped =
        (await own.get(key)) === old &&
        (await own.multi().set(key, next, 'EX', idleLifetime).exec())
      idle.push(own)
      return Boolean(swapped)
    }
  },
  EVALSHA: (redis, sha) => async (key, old, next) =>
    (await redis.evalsha(sha, 1, key, old, next, idleLifetime)) === 1,
  'EVALSHA, one write a tick': (redis, sha) => {
    let corked = false
    return async (key, old, next) => {
      if (!corked) {
        corked = true
        redis.stream.cork()
        setImmediate(() => {
          corked = false
          redis.stream.uncork()
        })
      }
      return (await redis.evalsha(sha, 1, key, old, next, idleLifetime)) === 1
    }
  }
}

/** Refresh tokens as tutorials have them: random ones that name their user, or JWTs. */
const kinds = {
  random: () => ({
    make: (sub) => `${sub}.${randomBytes(32).toString('base64url')}`,
    subOf: (token) => token.slice(0, token.indexOf('.'))
  }),
  jwt: ({ jwt }) => ({
    make: (sub) => jwt.sign({ sub, jti: randomUUID() }, { expiresIn: '14d' }),
    subOf: (token) => jwt.verify(token).sub
  })
}

const start = (design, kind) => (port) => serve(async (app) => {
  const redis = new Redis({ port, keyPrefix: `${design}, ${kind}:` })
  const swap = designs[design](redis, await redis.script('LOAD', script))
  await app.register(fastifyCookie)
  await app.register(fastifyJwt, { secret, sign: { expiresIn: '30m' } })
  const { make, subOf } = kinds[kind](app)
  const cookie = {
    path: '/auth',
    httpOnly: true,
    secure: true,
    sameSite: 'strict',
    maxAge: idleLifetime
  }
  const issue = (reply, sub, token) => reply.setCookie('refresh_token', token, cookie)
    .header('cache-control', 'no-store').send(tokens(app.jwt.sign({ sub })))
  app.post('/login', async (request, reply) => {
    const { sub } = request.body
    const token = make(sub)
    await redis.set(sub, hash(token), 'EX', idleLifetime)
    return issue(reply, sub, token)
  })
  app.post('/auth/refresh', async (request, reply) => {
    const old = request.cookies.refresh_token
    const sub = subOf(old)
    const token = make(sub)
    return (await swap(sub, hash(old), hash(token)))
      ? issue(reply, sub, token)
      : reply.code(401).send({ error: 'Unauthorized' })
  })
})

const contender = (design, kind = 'random') => ({
  start: start(design, kind),
  login: design === 'EVALSHA',
  refresh: 'refresh',
  turns: design === 'EVALSHA, one write a tick'
})

export const contenders = {
  ...Object.fromEntries(Object.keys(designs).map((design) => [design, contender(design)])),
  'GET, compare, SET a JWT': contender('GET, compare, SET', 'jwt')
}
