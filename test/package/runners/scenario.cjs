// What a test with fake timers sees of sessions, the same under each test runner.
const assert = require('node:assert/strict')
const Fastify = require('fastify')
const { Redis } = require('ioredis')
const authPlugin = require('fastify-jwt-sessions')
const { loginAs } = require('fastify-jwt-sessions/testing')

const minute = 60_000
const day = 24 * 60 * minute

/** `setDate` fakes the date. Only MemoryStore ends sessions by it: Redis has a clock of its own. */
exports.pass = async function (kind, setDate) {
  const client = kind === 'RedisStore' ? new Redis(process.env.REDIS_SOCKET) : undefined
  const app = Fastify()
  try {
    const store = client === undefined ? new authPlugin.MemoryStore() : undefined
    app.register(authPlugin, { secret: 'x'.repeat(32), redis: client, store })
    app.register(async (app) => {
      app.get('/me', { onRequest: app.authenticate }, async ({ user }) => ({ name: user.sub }))
    })
    const start = Date.now()
    const { headers, sid } = await loginAs(app, { sub: 'ada' })
    const me = async () => (await app.inject({ url: '/me', headers })).statusCode
    const refresh = async () =>
      (await app.inject({ method: 'POST', url: '/auth/refresh', headers })).statusCode
    const isListed = async () => (await app.sessions.list('ada')).some((one) => one.sid === sid)
    assert.equal(await me(), 200)
    setDate(start + 29 * minute)
    assert.equal(await me(), 200)
    setDate(start + 31 * minute)
    assert.equal(await me(), 401, 'access tokens expire by the faked date with both stores')
    assert.equal(await refresh(), 200)
    setDate(start + 15 * day)
    assert.equal(await isListed(), kind === 'RedisStore')
  } finally {
    await app.close()
    client?.disconnect()
  }
}

/** A MemoryStore with a clock that a test sets. */
exports.createSubject = function () {
  let now = Date.now()
  const store = new authPlugin.MemoryStore({ now: () => now })
  return { store, pass: (ms) => { now += ms } }
}
