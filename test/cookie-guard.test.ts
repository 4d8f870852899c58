import t from 'tap'
import { MemoryStore } from '../lib/index'
import { minute, second } from './support/app'
import {
  access, Jar, namesOf, onBoth, refresh, runOut, start, type Options
} from './support/cookie-mode'
import { observe } from './support/events'
import { monitor } from './support/servers/monitor'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

const challenge = (response: { headers: Record<string, unknown> }): string =>
  String(response.headers['www-authenticate'])

onBoth('a living access cookie lets in, and keeps the answer private', async (t, { begin }) => {
  const { login, send } = await begin({
    extend: (app) => {
      app.get('/own', { onRequest: app.authenticate }, async (_request, reply) =>
        await reply.header('cache-control', 'public, max-age=60').send('x'))
      app.get('/open', async (_request, reply) => await reply.send('x'))
    }
  })
  const jar = await login()
  const response = await send(jar, '/me')
  t.match(response.json(), { user: { sub: 'ada' }, sid: String })
  t.equal(response.headers['cache-control'], 'private')
  t.strictSame(response.cookies, [])
  t.equal((await send(jar, '/own')).headers['cache-control'], 'public, max-age=60')
  t.equal((await send(jar, '/open')).headers['cache-control'], undefined)
})

onBoth('without cookies the code says what is missing', async (t, { begin }) => {
  const { login, send } = await begin()
  const jar = await login()
  const bare = await send(new Jar(), '/me')
  t.match(bare.json(), { code: 'ACCESS_TOKEN_MISSING', statusCode: 401 })
  t.equal(challenge(bare), 'Bearer')
  const forged = new Jar()
  forged.cookies.set(access, 'nonsense')
  t.match((await send(forged, '/me')).json(), { code: 'ACCESS_TOKEN_INVALID' })
  t.match((await send(jar.copy(access), '/me')).statusCode, 200)
})

t.test('an access cookie alone that has run out is 401 ACCESS_TOKEN_EXPIRED', async (t) => {
  const { login, send, clock } = await start(t)
  const jar = (await login()).copy(access)
  clock.pass(runOut)
  const response = await send(jar, '/me')
  t.match(response.json(), { code: 'ACCESS_TOKEN_EXPIRED' })
  t.match(challenge(response), 'invalid_token')
})

t.test('of several cookies of a name the newest that lives counts', async (t) => {
  const { login, send, clock } = await start(t)
  const old = await login({ sub: 'old' })
  clock.pass(10 * second)
  const young = await login({ sub: 'young' })
  const values = [old, young].map((jar) => `${access}=${jar.cookies.get(access)}`)
  const userOf = async (...cookies: string[]) => {
    const headers = { cookie: cookies.join('; ') }
    return (await send(new Jar(), '/me', { headers })).json().user.sub
  }
  const among = [`${access}=x`, ...values, `${access}=y.z.a`]
  for (const cookies of [values, [...values].reverse(), among]) {
    t.equal(await userOf(...cookies), 'young')
  }
  t.equal(await userOf(`${access}=x`, values[0] as string), 'old')
  clock.pass(30 * minute - 5 * second)
  t.equal(await userOf(...values), 'young', 'the other one has run out')
})

onBoth('a refused refresh cookie is 401, and none is touched', async (t, { begin, expire }) => {
  const app = await begin({ claims: ({ sub }) => sub === 'eve' ? null : {} })
  const { send, login } = app
  const refused = async (jar: Jar, code: string): Promise<void> => {
    const response = await send(jar, '/me')
    t.match(response.json(), { code, statusCode: 401 })
    t.match(challenge(response), /^Bearer error="invalid_token", error_description=".+"$/)
    t.notOk(response.headers['set-cookie'])
  }
  const forged = new Jar()
  forged.cookies.set(refresh, 'nonsense')
  await refused(forged, 'REFRESH_TOKEN_INVALID')

  const denied = await login({ sub: 'eve' })
  expire(app, denied)
  await refused(denied, 'SESSION_REVOKED')

  const ended = await login({ sub: 'bob' })
  expire(app, ended)
  await app.app.sessions.revokeAll('bob')
  await refused(ended, 'REFRESH_TOKEN_INVALID')
})

t.test('a refresh cookie that has run out is refused by its code', async (t) => {
  const { login, send, clock } = await start(t)
  const jar = await login()
  clock.pass(15 * 24 * 60 * minute)
  const response = await send(jar, '/me')
  t.match(response.json(), { code: 'REFRESH_TOKEN_EXPIRED', statusCode: 401 })
  t.strictSame(response.cookies, [])
})

onBoth('a stolen jar is found out, and both are out', async (t, { begin, expire }) => {
  const seen = observe(t)
  const app = await begin({ refreshToken: { gracePeriod: 0 } })
  const renew = async (jar: Jar) => {
    expire(app, jar)
    // Two moments of one millisecond are one.
    const before = Date.now()
    await until('the next millisecond', () => Date.now() > before)
    return await app.visit(jar, '/me')
  }
  const user = await app.login()
  const thief = user.copy()
  for (const jar of [user, thief]) t.equal((await renew(jar)).statusCode, 200)
  t.equal((await renew(user)).statusCode, 200, "the user's offer is taken")
  const response = await renew(thief)
  t.match(response.json(), { code: 'REFRESH_TOKEN_REUSED', statusCode: 401 })
  t.match(challenge(response), 'invalid_token')
  t.notOk(response.headers['set-cookie'])
  t.equal(seen().filter(([name]) => name === 'reuse').length, 1)
  t.equal((await app.send(user, '/me')).statusCode, 401)
  t.strictSame(await app.app.sessions.list('ada'), [])
})

t.test('a renewal is one round trip, a claims hook one more, a living cookie none', async (t) => {
  const server = await redisFor(t)
  const redis = server.client()
  const commandsOf = async (options: Options): Promise<number[]> => {
    const app = await start(t, { redis, ...options })
    const jar = await app.login()
    await app.visit(jar, '/me')
    const seen = await monitor(server)
    const counts: number[] = []
    for (let i = 0; i < 20; i++) await app.send(jar, '/me')
    counts.push((await seen.flush()).length)
    jar.cookies.delete(access)
    t.equal((await app.visit(jar, '/me')).statusCode, 200)
    counts.push((await seen.flush()).filter(([name]) => name === 'evalsha').length)
    return counts
  }
  t.strictSame(await commandsOf({}), [0, 1])
  t.strictSame(await commandsOf({ revocation: 'none' }), [0, 1])
  t.strictSame(await commandsOf({ claims: () => ({}) }), [0, 2])
})

t.test('while the store is down a renewal is 503, and a living cookie goes on', async (t) => {
  const server = await redisFor(t)
  const app = await start(t, { redis: server.client(), storeTimeout: 0.1 })
  const jar = await app.login()
  const expired = jar.copy(refresh)
  await app.send(jar, '/me')
  await server.pause()
  const response = await app.send(expired, '/me')
  t.match(response.json(), { code: 'STORE_UNAVAILABLE', statusCode: 503 })
  t.equal(response.headers['retry-after'], '1')
  t.strictSame(response.cookies, [])
  t.equal((await app.send(jar, '/me')).statusCode, 200)
  await server.resume()
  await until('the store', async () => (await app.send(expired, '/me')).statusCode === 200)
})

t.test('what is left of an ended session asks the store once', async (t) => {
  const server = await redisFor(t)
  const app = await start(t, { redis: server.client() })
  const jar = await app.login()
  jar.cookies.delete(access)
  await app.app.sessions.revokeAll('ada')
  t.equal((await app.send(jar, '/me')).statusCode, 401)
  const seen = await monitor(server)
  for (let i = 0; i < 10; i++) t.equal((await app.send(jar, '/me')).statusCode, 401)
  t.strictSame(await seen.flush(), [])
})

t.test('a store of the application that cannot tell of endings renews as well', async (t) => {
  const deaf = Object.assign(new MemoryStore(), { listen: undefined })
  const { login, visit } = await start(t, { store: deaf })
  const jar = await login()
  jar.cookies.delete(access)
  t.strictSame(namesOf(await visit(jar, '/me')), [access, refresh])
})
