// npm --prefix benchmark run revocation: how long after its session was ended on one node is an
// access token refused on another?
import { once } from 'node:events'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import authPlugin from '../dist/index.mjs'
import { ask, start, startRedis } from './processes.mjs'

const rounds = 1000
// The system's monotonic clock, which all processes share; in ms.
const now = () => Number(process.hrtime.bigint()) / 1e6

async function createNode (port) {
  const app = Fastify()
  await app.register(authPlugin, {
    secret: 'a secret of the benchmark, 32 bytes and more',
    redis: new Redis({ port }),
    revocation: 'push',
    maxSessions: Infinity
  })
  app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
  app.get('/me', { onRequest: app.authenticate }, async () => 'in')
  await app.ready()
  return app
}

/** The other node: tries a token without a pause until it is refused, and tells when that was. */
async function refuse (port) {
  const app = await createNode(port)
  const call = async (authorization) =>
    (await app.inject({ url: '/me', headers: { authorization } })).statusCode
  process.on('message', async ({ authorization }) => {
    if (authorization === undefined) return process.exit()
    if (await call(authorization) !== 200) throw new Error('refused too early')
    process.send('trying')
    while (await call(authorization) === 200) await new Promise(setImmediate)
    process.send({ at: now() })
  })
  process.send('ready')
}

async function measure () {
  const redis = await startRedis(0)
  const app = await createNode(redis.port)
  const other = start(1, 'revocation.mjs', redis.port)
  await once(other, 'message')
  const fromCall = []
  const fromAnswer = []
  for (let i = 0; i < rounds; i++) {
    const { access_token: token } = (await app.inject({ method: 'POST', url: '/login' })).json()
    const { sid } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
    await ask(other, { authorization: `Bearer ${token}` })
    const refused = once(other, 'message')
    const called = now()
    await app.sessions.revoke('ada', sid)
    const answered = now()
    const [{ at }] = await refused
    fromCall.push(at - called)
    fromAnswer.push(at - answered)
  }
  report('from the call of revoke', fromCall)
  report('from its answer', fromAnswer)
  other.send({})
  await app.close()
  await redis.stop()
  process.exit()
}

function report (what, delays) {
  delays.sort((a, b) => a - b)
  const at = (share) => `${delays[Math.ceil(share * delays.length) - 1].toFixed(2)} ms`
  console.log(`${what}: p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)} of ${delays.length}`)
}

await (process.send === undefined ? measure() : refuse(Number(process.argv[2])))
