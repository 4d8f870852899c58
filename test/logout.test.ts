import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { MemoryStore } from '../lib/index'
import { build, day, minute, peek, toClient, type Client } from './support/app'
import { observe } from './support/events'

const cleared =
  '__Host-refresh_token=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Strict'
const count = async ({ app }: Awaited<ReturnType<typeof build>>, sub = 'ada') =>
  (await app.sessions.list(sub)).length

t.test('a logout ends the session and clears the cookie', async (t) => {
  const seen = observe(t)
  const node = await build(t)
  const client = await node.login()
  await node.login()
  const response = await node.logout(client)
  t.equal(response.statusCode, 204)
  t.equal(response.body, '')
  t.equal(response.headers['set-cookie'], cleared)
  t.equal((await node.refresh(client)).json().code, 'REFRESH_TOKEN_INVALID')
  t.equal((await node.me(client, '/live')).json().code, 'SESSION_REVOKED')
  t.equal(
    (await node.me(client)).statusCode,
    200,
    'by default an access token lives out its lifetime'
  )
  t.equal(await count(node), 1)
  t.match(seen().at(-1), [
    'logout',
    { sid: peek(client.body.access_token).sid, sub: 'ada', generation: 1 }
  ])
})

t.test('a refresh token of any generation names its session', async (t) => {
  const node = await build(t)
  const first = await node.login()
  const third = toClient(await node.refresh(toClient(await node.refresh(first))))
  node.clock.pass(minute)
  t.equal((await node.logout(first)).statusCode, 204)
  t.equal((await node.refresh(third)).statusCode, 401)
  const old = await node.login()
  node.clock.pass(13 * day)
  const young = toClient(await node.refresh(old))
  node.clock.pass(2 * day)
  await node.logout(old)
  t.equal((await node.refresh(young)).statusCode, 401, 'also one whose own time is over')
})

t.test('without a refresh token an access token names it, expired or not', async (t) => {
  const node = await build(t)
  for (const age of [0, 5 * day]) {
    const { authorization } = await node.login()
    node.clock.pass(age)
    const response = await node.logout({ cookie: '' }, { headers: { authorization } })
    t.equal(response.statusCode, 204)
    t.equal(response.headers['set-cookie'], cleared)
    t.equal(await count(node), 0)
  }
})

t.test('a refresh token that is not good leaves the naming to the access token', async (t) => {
  const node = await build(t)
  const { authorization } = await node.login()
  await node.logout({ cookie: '__Host-refresh_token=junk' }, { headers: { authorization } })
  t.equal(await count(node), 0)
})

t.test('where there is nothing to end, the cookie is cleared all the same', async (t) => {
  const node = await build(t)
  const client = await node.login()
  await node.logout(client)
  for (const [cookie, authorization] of [
    ['', ''],
    ['__Host-refresh_token=junk', 'Bearer junk'],
    ['', 'Basic eA=='],
    [client.cookie, client.authorization]
  ]) {
    const response = await node.logout({ cookie: cookie ?? '' }, { headers: { authorization } })
    t.equal(response.statusCode, 204)
    t.equal(response.headers['set-cookie'], cleared)
  }
})

t.test('{ "all": true } ends all sessions of the user', async (t) => {
  const seen = observe(t)
  const node = await build(t)
  const clients: Client[] = []
  for (let i = 0; i < 3; i++) clients.push(await node.login())
  await node.login({ sub: 'bob' })
  const response = await node.logout(clients[1] as Client, { payload: { all: true } })
  t.equal(response.statusCode, 204)
  t.equal(await count(node), 0)
  t.equal(await count(node, 'bob'), 1)
  t.strictSame(seen().slice(-3).map(([name]) => name).sort(), ['logout', 'revoke', 'revoke'])
})

t.test('a token whose session is over has no say about the others', async (t) => {
  const node = await build(t)
  const over = await node.login()
  await node.logout(over)
  await node.login()
  t.match((await node.logout(over, { payload: { all: true } })).json(), {
    statusCode: 401,
    code: 'REFRESH_TOKEN_INVALID'
  })
  const byAccessToken = { payload: { all: true }, headers: { authorization: over.authorization } }
  t.match((await node.logout({ cookie: '' }, byAccessToken)).json(), {
    statusCode: 401,
    code: 'SESSION_REVOKED'
  })
  t.equal(await count(node), 1)
})

t.test('a guard of the whole application changes nothing about who may end all', async (t) => {
  for (const paired of [false, true]) {
    const node = await build(t, {
      refreshToken: { paired, gracePeriod: 0 },
      extend: (app) => {
        app.addHook('preHandler', (request, reply, done) => {
          if (request.url === '/login') return done()
          app.authenticate(request, reply, done)
        })
      }
    })
    const logoutAll = async (cookie: string, authorization: string) =>
      (await node.logout({ cookie }, { payload: { all: true }, headers: { authorization } })).json()
    const spent = await node.login()
    const over = await node.login()
    const living = await node.login()
    t.equal((await node.refresh(spent, { headers: { authorization: spent.authorization } }))
      .statusCode, 200)
    await node.logout(over)
    if (paired) {
      t.match(await logoutAll('', living.authorization), { code: 'REFRESH_TOKEN_MISSING' })
    } else {
      t.match(await logoutAll('', over.authorization), { code: 'SESSION_REVOKED' })
    }
    t.equal(await count(node), 2)
    t.match(await logoutAll(spent.cookie, spent.authorization), { code: 'REFRESH_TOKEN_REUSED' })
    t.equal(await count(node), 1)
  }
})

t.test('all must be true or false', async (t) => {
  const node = await build(t)
  const client = await node.login()
  for (const all of ['true', 1, null]) {
    t.match((await node.logout(client, { payload: { all } })).json(), {
      statusCode: 400,
      message: /^body\/all is .*; allowed: true or false$/
    })
  }
  t.equal(
    (await node.logout(client, { payload: '[]', headers: { 'content-type': 'application/json' } }))
      .statusCode,
    204
  )
})

t.test('reply.logout ends the session of the request', async (t) => {
  const node = await build(t, {
    extend: (app) => {
      app.post('/bye', { onRequest: app.authenticate }, async (_request, reply) => {
        await reply.logout()
        return 'bye'
      })
      app.post('/bye-all', { onRequest: app.authenticate }, async (_request, reply) => {
        await reply.logout({ all: true })
        return 'bye'
      })
      app.post('/bye-unguarded', async (_request, reply) => { await reply.logout(); return 'bye' })
    }
  })
  const post = async (url: string, headers: Record<string, string>) =>
    await node.app.inject({ method: 'POST', url, headers })
  const [first, second, third] = [await node.login(), await node.login(), await node.login()]
  t.equal(
    (await post('/bye', { authorization: first.authorization })).headers['set-cookie'],
    cleared
  )
  t.equal((await node.refresh(first)).statusCode, 401)
  t.equal(await count(node), 2)
  await post('/bye-unguarded', { cookie: second.cookie })
  t.equal(await count(node), 1)
  await node.login()
  await post('/bye-all', { authorization: first.authorization })
  t.equal(await count(node), 0, 'a request that was let in speaks for its user')
  t.equal((await node.refresh(third)).statusCode, 401)
})

t.test('reply.logout ends it, whatever stands in request.user by then', async (t) => {
  const changes: Array<(request: FastifyRequest) => void> = [
    (request) => { request.user = { id: 7 } as never },
    (request) => { Object.assign(request.user, { sub: 'eve' }) },
    (request) => { request.user = null as never }
  ]
  for (const change of changes) {
    for (const all of [false, true]) {
      const node = await build(t, {
        extend: (app) => {
          const preHandler = async (request: FastifyRequest) => { change(request) }
          app.post('/bye', { onRequest: app.authenticate, preHandler },
            async (_request, reply) => await reply.logout({ all }))
        }
      })
      const eve = await node.login({ sub: 'eve' })
      for (const withCookie of [false, true]) {
        const client = await node.login()
        await node.login()
        const { authorization } = client
        const cookie = withCookie ? client.cookie : ''
        const request = { method: 'POST', url: '/bye', headers: { authorization, cookie } } as const
        t.equal((await node.app.inject(request)).body, 'true')
        t.equal((await node.refresh(client)).json().code, 'REFRESH_TOKEN_INVALID')
        t.equal(await count(node), all ? 0 : 1)
        await node.app.sessions.revokeAll('ada')
      }
      t.equal((await node.refresh(eve)).statusCode, 200)
    }
  }
})

t.test('a refresh in flight does not bring back what a logout ends', async (t) => {
  const node = await build(t, {
    claims: async () => {
      await node.logout(client)
      return { role: 'admin' }
    }
  })
  const client = await node.login()
  t.equal((await node.refresh(client)).json().code, 'REFRESH_TOKEN_INVALID')
  t.equal(await count(node), 0)
})

t.test('of several cookies each names a session to end', async (t) => {
  const node = await build(t)
  const [one, two] = [await node.login(), await node.login()]
  await node.logout({ cookie: `${one.cookie}; ${two.cookie}` })
  t.equal(await count(node), 0)
})

t.test('a session of the body transport has no cookie to clear', async (t) => {
  const node = await build(t, { refreshToken: { transports: ['body', 'cookie'] } })
  const client = await node.login()
  const response = await node.logout(
    { cookie: '' },
    { payload: { refresh_token: client.refreshToken } }
  )
  t.equal(response.statusCode, 204)
  t.notOk(response.headers['set-cookie'])
  t.equal(await count(node), 0)
})

t.test('an application without cookies clears none, and has no foreign origins', async (t) => {
  const node = await build(t, { refreshToken: { transports: ['body'] } })
  const { authorization } = await node.login()
  for (const headers of [{ authorization }, { 'sec-fetch-site': 'cross-site' }]) {
    const response = await node.logout({ cookie: '' }, { headers })
    t.equal(response.statusCode, 204)
    t.notOk(response.headers['set-cookie'])
  }
  t.equal(await count(node), 0)
})

t.test('a store that fails between two endings does not hide the first', async (t) => {
  class Failing extends MemoryStore {
    left = Infinity
    override async end (...given: Parameters<MemoryStore['end']>) {
      if (this.left-- <= 0) throw new Error('connect ECONNREFUSED')
      return await super.end(...given)
    }

    override async endAll (...given: Parameters<MemoryStore['endAll']>) {
      if (this.left-- <= 0) throw new Error('connect ECONNREFUSED')
      return await super.endAll(...given)
    }
  }
  for (const payload of [{}, { all: true }]) {
    const seen = observe(t)
    const store = new Failing()
    const node = await build(t, { store, revocation: 'push' })
    const ada = await node.login()
    const { authorization } = await node.login({ sub: 'bob' })
    store.left = 1
    const response = await node.logout(ada, { headers: { authorization }, payload })
    t.equal(response.statusCode, 503)
    const ended = seen().filter(([name]) => name === 'logout')
    t.match(ended, [['logout', { sub: 'ada' }]])
    t.equal((await node.me(ada)).json().code, 'SESSION_REVOKED')
    t.equal((await node.me({ authorization })).statusCode, 200)
  }
})
