import t from 'tap'
import { MemoryStore, RedisStore } from '../lib/index'
import { inTime } from '../lib/store/redis/send'
import { timeout } from '../lib/testing/contract/subject'
import { readRing } from '../lib/tokens/keys'
import { prepareRefreshKeys } from '../lib/tokens/signers'
import { build, day, hour, minute, secret, second } from './support/app'
import { redisFor } from './support/servers/redis'

// What comes seldom, and must come to something sensible all the same.

const code = ({ statusCode, body }: { statusCode: number, body: string }): string =>
  `${statusCode} ${JSON.parse(body).code ?? ''}`.trim()

/** Collects the lines of an application's log. */
function collect (): { lines: string[], server: { logger: object } } {
  const lines: string[] = []
  return { lines, server: { logger: { stream: { write: (line: string) => lines.push(line) } } } }
}

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

t.test('of several access cookies of ended sessions none lets the request in', async (t) => {
  const { app } = await build(t, { accessToken: { cookie: true } })
  const logins = [await app.sessions.open({ sub: 'ada' }), await app.sessions.open({ sub: 'ada' })]
  const cookie = logins.map(({ accessToken }) => `__Host-access_token=${accessToken}`).join('; ')
  t.equal((await app.inject({ url: '/me', headers: { cookie } })).statusCode, 200)
  await app.sessions.revokeAll('ada')
  t.equal(code(await app.inject({ url: '/me', headers: { cookie } })), '401 SESSION_REVOKED')
})

t.test('durations that are allowed and seldom meant are said', async (t) => {
  const { lines, server } = collect()
  await build(t, { server, accessToken: { lifetime: 2 * day / second } })
  t.match(lines.join(''), /accessToken\.lifetime is 172800 s, more than a day/)
  await build(t, { server, accessToken: { lifetime: '2h' }, refreshToken: { idleLifetime: '1h' } })
  t.match(lines.join(''), /accessToken\.lifetime is 7200 s, more than refreshToken\.idleLifetime/)
  await t.rejects(build(t, { storeTimeout: 31 }), { code: 'INVALID_OPTION', message: /up to 30 s/ })
})

t.test('RedisStore', async (t) => {
  const server = await redisFor(t)

  t.test('a client that sleeps is woken by the first request', async (t) => {
    const client = server.client({ lazyConnect: true })
    t.equal(client.status, 'wait')
    t.strictSame(await new RedisStore(client).list('u', timeout), [])
  })

  t.test('a command that is late by the clock of the server twice is given up', async (t) => {
    let tries = 0
    const late = async () => { tries++; return { outcome: 'late' as const } }
    await t.rejects(inTime(hour, late), /too late/)
    t.equal(tries, 2)
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
      ['eval', /may not run EVAL: sessions cannot be kept/]
    ] as const) {
      await admin.acl('SETUSER', command, 'on', '>p', '~*', '&*', '+@all', `-${command}`)
      const client = server.client({ username: command, password: 'p', enableReadyCheck: false })
      t.match(await new RedisStore(client).open(timeout), consequence)
    }
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
