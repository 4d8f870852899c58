import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { MemoryStore, RedisStore } from '../lib/index'
import type { Emit } from '../lib/events'
import { userTagOf } from '../lib/session/content'
import { noDurability } from '../lib/session/durability'
import { createEndings } from '../lib/session/endings'
import { noWatch } from '../lib/session/revocation-watch'
import { inTime } from '../lib/store/redis/send'
import type { SessionRecord } from '../lib/store/store'
import { Readiness, type RedisClient } from '../lib/store/redis/client'
import { checkPermissions, checkWait, createExplain } from '../lib/store/redis/permissions'
import { boundStore } from '../lib/store/bounded'
import { loadScripts, readServerInfo } from '../lib/store/redis/server-info'
import { creation, timeout } from '../lib/testing/contract/subject'
import { readRing } from '../lib/tokens/keys'
import { prepareRefreshKeys } from '../lib/tokens/signers'
import { build, day, hour, minute, peek, secret, second } from './support/app'
import { redisFor } from './support/servers/redis'

// What comes seldom, and must come to something sensible all the same.

const code = ({ statusCode, body }: { statusCode: number, body: string }): string =>
  `${statusCode} ${JSON.parse(body).code ?? ''}`.trim()

/** Collects the lines of an application's log. */
function collect (): { lines: string[], server: { logger: object } } {
  const lines: string[] = []
  return { lines, server: { logger: { stream: { write: (line: string) => lines.push(line) } } } }
}

t.test('a user may have ever so many sessions that end at once', async (t) => {
  const record = { sid: 's', content: '{}', generation: 1 } as SessionRecord
  let told = 0
  const over = createEndings(noWatch, noDurability, () => { told++ }).gather()
  over.add(Array.from({ length: 200_000 }, () =>
    ({ event: 'revoke', userTag: 'u', sid: 's', record })))
  t.equal(told, 200_000)
})

t.test('an authentic refresh token of another shape is invalid', async (t) => {
  const { app, clock } = await build(t)
  const [{ hs256 }] = prepareRefreshKeys(readRing(secret))
  const shape = { key: 'a'.repeat(22), tag: 'b'.repeat(22), gen: 1, at: 0, via: 'cookie' }
  const exp = Math.floor(clock.ms / second) + 60
  const refresh = async (claims: object) => code(await app.inject({
    method: 'POST',
    url: '/auth/refresh',
    headers: { cookie: `__Host-refresh_token=${hs256.sign(claims)}` }
  }))
  for (const odd of [{}, { key: 1 }, { tag: null }, { gen: 1.5 }, { at: '0' }, { via: 'pigeon' }]) {
    const answer = await refresh({ ...shape, exp, ...odd })
    t.equal(answer, '401 REFRESH_TOKEN_INVALID', JSON.stringify(odd))
  }
  t.equal(await refresh({ ...shape, exp, tag: 'short' }), '401 REFRESH_TOKEN_INVALID')
})

t.test('of two offers of one generation the one handed out last counts', async (t) => {
  const { clock, login, refresh } = await build(t, { refreshToken: { spentOn: 'use' } })
  for (const order of [0, 1]) {
    const client = await login({ sub: `user-${order}` })
    const offers: string[] = []
    for (let i = 0; i < 2; i++) {
      clock.pass(minute)
      offers.push((await refresh(client)).cookies[0]?.value ?? '')
    }
    const inOrder = order === 0 ? offers : [...offers].reverse()
    const cookie = inOrder.map((value) => `__Host-refresh_token=${value}`).join('; ')
    t.equal((await refresh({ cookie })).statusCode, 200)
    t.equal(code(await refresh({ cookie: `__Host-refresh_token=${offers[0]}` })),
      '401 REFRESH_TOKEN_REUSED', 'the other one is another copy')
  }
})

t.test('a login stands if the session of another user, which it overwrites, cannot be ended', async (t) => {
  class Stubborn extends MemoryStore {
    override async end (): Promise<never> { throw new Error('not now') }
  }
  const { lines, server } = collect()
  const { app, login } = await build(t, { store: new Stubborn(), server })
  const { cookie } = await login({ sub: 'ada' })
  const payload = { claims: { sub: 'eve' } }
  const answer = await app.inject({ method: 'POST', url: '/login', headers: { cookie }, payload })
  t.equal(answer.statusCode, 200)
  t.match(lines.join(''), /that a login overwrites could not be ended/)
})

t.test('a login overwrites a session of another user that has ended before', async (t) => {
  const { app, login } = await build(t)
  const { cookie } = await login({ sub: 'ada' })
  await app.sessions.revokeAll('ada')
  const payload = { claims: { sub: 'eve' } }
  const answer = await app.inject({ method: 'POST', url: '/login', headers: { cookie }, payload })
  t.equal(answer.statusCode, 200)
})

t.test('a store that rejects with no error is unavailable all the same', async (t) => {
  class Odd extends MemoryStore {
    // eslint-disable-next-line prefer-promise-reject-errors
    override async find () { return await Promise.reject('a text') }
  }
  const { login, me } = await build(t, { store: new Odd() })
  t.equal(code(await me(await login(), '/live')), '503 STORE_UNAVAILABLE')
})

t.test('a logout of all that finds nobody is one, and one that cannot ask is none', async (t) => {
  const payload = { all: true }
  class Empty extends MemoryStore {
    override async endAll () { return { outcome: 'done' as const, ended: [] } }
  }
  class Down extends MemoryStore {
    override async endAll (): Promise<never> { throw new Error('down') }
  }
  for (const [store, status] of [[new Empty(), 204], [new Down(), 503]] as const) {
    const { app, login } = await build(t, { store })
    const { authorization } = await login()
    const headers = { authorization }
    const answer = await app.inject({ method: 'POST', url: '/auth/logout', headers, payload })
    t.equal(answer.statusCode, status)
  }
})

t.test('a store that throws at once is as unavailable as one that rejects', async (t) => {
  class Broken extends MemoryStore {
    override find (): never { throw new Error('broken') }
  }
  const { login, me } = await build(t, { store: new Broken() })
  t.equal(code(await me(await login(), '/live')), '503 STORE_UNAVAILABLE')
})

t.test('a store that ends nobody revokes nobody', async (t) => {
  class Odd extends MemoryStore {
    override async endAll () { return { outcome: 'unknown' as const } }
  }
  const { app } = await build(t, { store: new Odd() })
  t.equal(await app.sessions.revokeAll('ada'), 0)
})

t.test('a login ends the session of the cookie that lives longest, of two that it brings', async (t) => {
  const { app, clock, login } = await build(t)
  const short = await login({ sub: 'ada' })
  clock.pass(minute)
  const long = await login({ sub: 'ada' })
  const cookie = `__Host-refresh_token=no-token; ${short.cookie}; ${long.cookie}`
  await app.inject({
    method: 'POST', url: '/login', headers: { cookie }, payload: { claims: { sub: 'ada' } }
  })
  const left = (await app.sessions.list('ada')).map(({ sid }) => sid)
  t.equal(left.length, 2)
  t.ok(left.includes(String(peek(short.body.access_token).sid)))
})

t.test('a session that ends while its page is renewed lets nobody in', async (t) => {
  const store = new MemoryStore()
  const { app } = await build(t, { store, accessToken: { cookie: true } })
  const { refreshToken, sid } = await app.sessions.open({ sub: 'ada' })
  const end = () => { store.end(userTagOf('ada'), sid).catch(() => {}) }
  subscribe('fastify-jwt-sessions:refresh', end)
  t.teardown(() => unsubscribe('fastify-jwt-sessions:refresh', end))
  const cookie = `__Host-refresh_token=${refreshToken}`
  t.equal(code(await app.inject({ url: '/me', headers: { cookie } })), '401 SESSION_REVOKED')
})

t.test('a raw answer in cookie mode is private, and keeps its reason and its headers', async (t) => {
  const { app } = await build(t, {
    accessToken: { cookie: true },
    extend: (app) => {
      app.get('/raw', { onRequest: (request) => request.authenticate() }, (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200, 'Fine', { 'x-own': 'yes' }).end()
      })
      app.get('/public', { onRequest: (request) => request.authenticate() }, (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200, { 'Cache-Control': 'public' }).end()
      })
    }
  })
  const { accessToken } = await app.sessions.open({ sub: 'ada' })
  const headers = { cookie: `__Host-access_token=${accessToken}` }
  const raw = await app.inject({ url: '/raw', headers })
  t.equal(raw.statusMessage, 'Fine')
  t.match(raw.headers, { 'x-own': 'yes', 'cache-control': 'private' })
  const open = await app.inject({ url: '/public', headers })
  t.equal(open.headers['cache-control'], 'public', 'unless the handler says otherwise')
})

t.test('of several access cookies of ended sessions none lets the request in', async (t) => {
  const { app, clock } = await build(t, { accessToken: { cookie: true } })
  const logins = [await app.sessions.open({ sub: 'ada' })]
  clock.pass(minute)
  logins.push(await app.sessions.open({ sub: 'ada' }))
  const cookie = logins.map(({ accessToken }) => `__Host-access_token=${accessToken}`).join('; ')
  t.equal((await app.inject({ url: '/me', headers: { cookie } })).statusCode, 200)
  const { sid = '' } = logins[1] ?? {}
  await app.sessions.revoke('ada', sid)
  t.equal((await app.inject({ url: '/me', headers: { cookie } })).statusCode, 200, 'one lives')
  await app.sessions.revokeAll('ada')
  t.equal(code(await app.inject({ url: '/me', headers: { cookie } })), '401 SESSION_REVOKED')
  const own = `${cookie}; __Host-refresh_token=${logins[0]?.refreshToken}`
  const answer = await app.inject({ url: '/me', headers: { cookie: own } })
  t.equal(code(answer), '401 SESSION_REVOKED', 'nor does its refresh cookie')
})

t.test('durations that are allowed and seldom meant are said', async (t) => {
  const { lines, server } = collect()
  await build(t, { server, accessToken: { lifetime: 2 * day / second } })
  t.match(lines.join(''), /accessToken\.lifetime is 172800 s, more than a day/)
  await build(t, { server, accessToken: { lifetime: '2h' }, refreshToken: { idleLifetime: '1h' } })
  t.match(lines.join(''), /accessToken\.lifetime is 7200 s, more than refreshToken\.idleLifetime/)
  t.notMatch(lines.join(''), 'gracePeriod')
  const never = (s: number): string =>
    `refreshToken.gracePeriod is 600 s, and a session ends after at most ${s} s idle: ` +
    'a refresh token expires before it can count as reuse'
  await build(t, { server, refreshToken: { gracePeriod: '10m', idleLifetime: '5m' } })
  t.match(lines.join(''), never(300))
  await build(t, { server, refreshToken: { gracePeriod: '10m', absoluteLifetime: '4m' } })
  t.match(lines.join(''), never(240), 'the default idle lifetime is capped')
  await build(t, { server, refreshToken: { gracePeriod: '10m', idleLifetime: '10m' } })
  t.match(lines.join(''), never(600))
  await t.rejects(build(t, { storeTimeout: 31 }), { code: 'INVALID_OPTION', message: /up to 30 s/ })
})

t.test('RedisStore', async (t) => {
  const server = await redisFor(t)

  t.test('a command that is late by the clock of the server twice is given up', async (t) => {
    let tries = 0
    const late = async () => { tries++; return { outcome: 'late' as const } }
    await t.rejects(inTime(hour, late), /too late/)
    t.equal(tries, 2)
  })

  t.test('who gives up waiting for the connection is forgotten, while Redis is down too', async (t) => {
    const waiting = new Readiness(server.client({ path: '/nowhere.sock' }))
    t.equal(waiting.ready, false)
    const given = Array.from({ length: 20 }, async () => await waiting.wait(20).catch(() => 'up'))
    t.equal(waiting.waiting, 20)
    t.strictSame(await Promise.all(given), Array(20).fill('up'))
    t.equal(waiting.waiting, 0)
  })

  t.test('what a client with a commandTimeout gives up takes no effect after its deadline', async (t) => {
    const own = await redisFor(t)
    const store = new RedisStore(own.client({ commandTimeout: 49 }))
    await store.list('u', timeout)
    await own.pause()
    const given = creation()
    const start = performance.now()
    await t.rejects(store.create('u', given, 300))
    t.ok(performance.now() - start >= 300, 'nobody is told before')
    await own.resume()
    const other = new RedisStore(own.client())
    t.equal(await other.find('u', given.sid, timeout), undefined)
  })

  t.test('a server that is too old, or fails, is no server for sessions', async (t) => {
    const info = async (): Promise<string> => 'redis_version:6.2.14\r\nredis_mode:standalone\r\n'
    t.match((await readServerInfo({ info })).unfit, /Redis 6\.2\.14: sessions need Redis 7/)
    const fail = async (): Promise<never> => { throw new Error('LOADING') }
    const client = Object.assign(server.client({ enableReadyCheck: false }), { info })
    const store = new RedisStore(client)
    t.match(await store.open(timeout), /Redis 6\.2\.14: sessions need Redis 7/)
    await t.rejects(store.list('u', timeout), /Redis 6\.2\.14: sessions need Redis 7/)
    await t.rejects(loadScripts({ script: fail }, [{ lua: 'return 1' }]), /LOADING/)
    await t.rejects(checkPermissions({ eval: fail }, 'key'), /LOADING/)
    await t.rejects(checkWait({ wait: fail } as unknown as RedisClient), /LOADING/)
  })

  t.test('a permission that is given back at once leaves the words of the server', async (t) => {
    const error = new Error('ERR ACL failure in script: User app has no permissions')
    const explain = createExplain({ eval: async () => [] }, 'key')
    t.equal(await explain(error), error)
  })

  t.test('a thumbprint of another size binds nothing', async (t) => {
    const store = new RedisStore(server.client())
    await t.rejects(store.bind('u', { sid: 's', boundTo: 'short' }, timeout), TypeError)
  })

  t.test('an operator is told of eviction', async (t) => {
    const full = await redisFor(t, {
      args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru']
    })
    t.match(await new RedisStore(full.client()).open(timeout), /evicts by allkeys-lru/)
    t.equal(await new RedisStore(server.client()).open(timeout), undefined)
  })

  t.test('an operator is told what the Redis user may not run', async (t) => {
    const admin = server.client()
    for (const [command, consequence] of [
      ['info', /may not run INFO: its version and maxmemory-policy are not checked/],
      ['script', /may not run SCRIPT: scripts are sent whole when first used/],
      ['eval', /may not run EVAL: scripts that the server does not know/]
    ] as const) {
      await admin.acl('SETUSER', command, 'on', '>p', '~*', '&*', '+@all', `-${command}`)
      const client = server.client({ username: command, password: 'p', enableReadyCheck: false })
      t.match(await new RedisStore(client).open(timeout), consequence)
    }
  })

  t.test('a server whose SCRIPT or EVAL was renamed away keeps sessions, and says so', async (t) => {
    for (const [command, consequence] of [
      ['SCRIPT', /^the Redis user may not run SCRIPT: scripts are sent whole when first used$/],
      ['EVAL', /^the Redis user may not run EVAL: scripts that the server does not know, .* fail$/]
    ] as const) {
      const renamed = await redisFor(t, { args: ['--rename-command', command, ''] })
      const store = new RedisStore(renamed.client())
      t.match(await store.open(timeout), consequence)
      const given = creation()
      await store.create('u', given, timeout)
      t.match(await store.find('u', given.sid, timeout), { sid: given.sid })
    }
  })

  t.test('a server without a command of the scripts says which', async (t) => {
    const renamed = await redisFor(t, { args: ['--rename-command', 'HSET', ''] })
    const store = new RedisStore(renamed.client())
    const reason = 'the Redis user may not run HSET: sessions cannot be kept'
    t.equal(await store.open(timeout), reason)
    await t.rejects(store.create('u', creation(), timeout), { message: reason })
  })

  t.test('a server without EVALSHA is told of without what it was asked', async (t) => {
    const renamed = await redisFor(t, { args: ['--rename-command', 'EVALSHA', ''] })
    const errors: Error[] = []
    const emit = ((_name, { error }: { error: Error }) => { errors.push(error) }) as Emit
    const store = boundStore(new RedisStore(renamed.client()), timeout, emit)
    const given = creation({ content: 'private' })
    const reason = /^ERR unknown command '\w+'$/i
    await t.rejects(store.create('u', given), { code: 'STORE_UNAVAILABLE', reason })
    t.match(errors, [{ message: reason }])
  })

  t.test('a node that may not publish says why it is cut off', async (t) => {
    const admin = server.client()
    await admin.acl('SETUSER', 'mute', 'on', '>p', '~*', '&*', '+@all', '-publish')
    const client = server.client({ username: 'mute', password: 'p' })
    const reason = await new Promise<Error>((resolve) => {
      const listener = { ended () {}, lost: resolve, listening () {} }
      t.teardown(new RedisStore(client).listen(listener))
    })
    t.match(reason.message, /NOPERM/)
  })
})
