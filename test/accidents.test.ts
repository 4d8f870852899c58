import { createHash } from 'node:crypto'
import t from 'tap'
import { MemoryStore, RedisStore } from '../lib/index'
import { userTagOf } from '../lib/session/content'
import {
  build,
  day,
  hour,
  minute,
  peek,
  second,
  secret,
  TestClock,
  toClient,
  type Client
} from './support/app'
import { observe } from './support/events'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

const codeOf = (response: { statusCode: number, body: string }): string =>
  `${response.statusCode} ${response.body === '' ? '' : (JSON.parse(response.body).code ?? '')}`.trim()

t.test('tabs of one cookie jar, each at its own pace, stay logged in', async (t) => {
  const server = await redisFor(t)
  for (const [where, options] of [['memory', {}], ['Redis', { redis: server.client() }]] as const) {
    const { login, refresh } = await build(t, options)
    const first = await login({ sub: where })
    const tabs: Client[] = Array.from({ length: 8 }, () => first)
    let newest = first
    for (let round = 0; round < 6; round++) {
      for (let tab = 0; tab < tabs.length; tab++) {
        // A slow tab still sends what the jar held some generations ago.
        const response = await refresh(tabs[tab] as Client)
        t.equal(response.statusCode, 200, `${where}, round ${round}, tab ${tab}`)
        newest = toClient(response)
        tabs[(tab * 3 + round) % tabs.length] = newest
      }
    }
    t.equal((await refresh(first)).statusCode, 200, 'also the token of the login')
    t.ok(Number(peek(newest.refreshToken).gen) > 8)
  }
})

t.test('the session that the access token names comes before one that a sibling has planted', async (t) => {
  const { login, refresh, clock } = await build(t, {
    claims: ({ sub }) => { if (sub === 'mallory') throw new Error('no such account'); return {} }
  })
  const victim = await login({ sub: 'ada' })
  clock.pass(minute)
  const planted = await login({ sub: 'mallory' })
  const cookie = `${planted.cookie}; ${victim.cookie}`
  const named = await refresh({ cookie }, { headers: { authorization: victim.authorization } })
  t.equal(peek(toClient(named).body.access_token).sub, 'ada')
  const next = toClient(named)
  const unnamed = await refresh({ cookie: `${planted.cookie}; ${next.cookie}` })
  t.equal(
    peek(toClient(unnamed).body.access_token).sub,
    'ada',
    'a hook that throws for another does not lock out the living one'
  )
  t.equal((await refresh(planted)).statusCode, 500)
})

t.test('of many authentic cookies four are looked up, and the hook is called for four', async (t) => {
  let asked = 0
  const { login, refresh, clock } = await build(t, {
    maxSessions: 100,
    claims: () => {
      asked++
      return null
    }
  })
  const cookies: string[] = []
  for (let i = 0; i < 57; i++) {
    clock.pass(second)
    cookies.push((await login({ sub: `user-${i}` })).cookie)
  }
  t.equal(codeOf(await refresh({ cookie: cookies.join('; ') })), '401 SESSION_REVOKED')
  t.equal(asked, 4)
})

t.test('the hook is called once per session at a time', async (t) => {
  let calls = 0
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  const { login, refresh } = await build(t, {
    claims: async () => {
      calls++
      await gate
      return {}
    }
  })
  const client = await login()
  const answers = Array.from({ length: 200 }, async () => await refresh(client))
  await until('the hook to be called', () => calls > 0)
  release()
  const texts = new Set(
    (await Promise.all(answers)).map((response) => toClient(response).refreshToken)
  )
  t.equal(texts.size, 1)
  t.equal(calls, 1)
  await refresh({ cookie: `__Host-refresh_token=${[...texts][0]}` })
  t.equal(calls, 2, 'and again the next time')
})

t.test('a guard and the route share a question to the hook, until it has been open for two seconds', async (t) => {
  let calls = 0
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  const { login, refresh, app, clock } = await build(t, {
    accessToken: { cookie: true },
    claims: async () => {
      calls++
      await gate
      return {}
    }
  })
  const client = await login()
  clock.pass(hour)
  const page = { url: '/me', headers: { cookie: client.cookie } }
  const answers = [app.inject(page), refresh(client)]
  await until('the hook to be called', () => calls > 0)
  const hasAskedAgain = (): boolean => {
    answers.push(app.inject(page), refresh(client))
    return calls > 1
  }
  await until('the hook to be called again', hasAskedAgain)
  release()
  const codes = (await Promise.all(answers)).map(({ statusCode }) => statusCode)
  t.strictSame(new Set(codes), new Set([200]))
  t.ok(calls < answers.length / 4, `${calls} calls for ${answers.length} refreshes`)
})

t.test('all sessions end by a token that is good at this moment, and by no other', async (t) => {
  const all = { payload: { all: true } }
  const prepare = async (options = {}) => {
    const node = await build(t, options)
    const spent = await node.login()
    let client = spent
    for (let i = 0; i < 3; i++) client = toClient(await node.refresh(client))
    await node.login()
    return { ...node, spent, client }
  }
  t.test('a spent refresh token is reuse', async (t) => {
    const seen = observe(t)
    const { logout, clock, spent, app } = await prepare()
    clock.pass(minute)
    t.equal(codeOf(await logout(spent, all)), '401 REFRESH_TOKEN_REUSED')
    t.equal((await app.sessions.list('ada')).length, 1, 'its own session is over, and no other')
    t.equal(seen().filter(([name]) => name === 'reuse').length, 1)
  })
  t.test('one within the grace period is good', async (t) => {
    const { logout, spent, app } = await prepare()
    t.equal(codeOf(await logout(spent, all)), '204')
    t.strictSame(await app.sessions.list('ada'), [])
  })
  t.test('an expired access token is refused as the guard would refuse it', async (t) => {
    const { logout, clock, client, app } = await prepare()
    const headers = { authorization: client.authorization }
    clock.pass(hour)
    t.equal(codeOf(await logout({ cookie: '' }, { ...all, headers })), '401 ACCESS_TOKEN_EXPIRED')
    t.equal((await app.sessions.list('ada')).length, 2)
    t.equal(codeOf(await logout({ cookie: '' }, all)), '401 REFRESH_TOKEN_MISSING')
    t.equal(
      codeOf(await logout({ cookie: '__Host-refresh_token=x' }, all)),
      '401 REFRESH_TOKEN_INVALID'
    )
    t.equal(
      codeOf(await logout({ cookie: '' }, { ...all, headers: { authorization: 'Bearer x' } })),
      '401 ACCESS_TOKEN_INVALID'
    )
  })
  t.test('a living access token is good, also beside a refresh token that is not', async (t) => {
    const { logout, client, app } = await prepare()
    const headers = { authorization: client.authorization }
    t.equal(codeOf(await logout({ cookie: '__Host-refresh_token=x' }, { ...all, headers })), '204')
    t.strictSame(await app.sessions.list('ada'), [])
  })
  t.test('paired wants both', async (t) => {
    const { logout, clock, client, app } = await prepare({ refreshToken: { gracePeriod: 0 } })
    const paired = await build(t, { refreshToken: { paired: true } })
    const own = await paired.login()
    t.equal(codeOf(await paired.logout(own, all)), '401 ACCESS_TOKEN_MISSING')
    t.equal(
      codeOf(
        await paired.logout(
          { cookie: '' },
          { ...all, headers: { authorization: own.authorization } }
        )
      ),
      '401 REFRESH_TOKEN_MISSING'
    )
    paired.clock.pass(hour)
    t.equal(
      codeOf(await paired.logout(own, { ...all, headers: { authorization: own.authorization } })),
      '401 ACCESS_TOKEN_EXPIRED'
    )
    t.equal((await paired.app.sessions.list('ada')).length, 1)
    clock.pass(day)
    t.equal(codeOf(await logout(client, all)), '204')
    t.strictSame(await app.sessions.list('ada'), [])
  })
})

t.test('where cookie and access token name two sessions, both end', async (t) => {
  const { login, logout, app } = await build(t)
  const [one, other] = [await login(), await login({ sub: 'bob' })]
  await login()
  t.equal((await logout(one, { headers: { authorization: other.authorization } })).statusCode, 204)
  t.equal((await app.sessions.list('ada')).length, 1)
  t.strictSame(await app.sessions.list('bob'), [])
})

t.test('a login ends the session whose cookie it overwrites, and no other', async (t) => {
  const seen = observe(t)
  const { app, login } = await build(t)
  const again = async (cookie: string, sub: string, options = {}) => toClient(await app.inject({
    method: 'POST', url: '/login', headers: { cookie }, payload: { claims: { sub }, options }
  }))
  const first = await login()
  await login()
  const second = await again(first.cookie, 'ada')
  t.equal((await app.sessions.list('ada')).length, 2)
  t.match(seen().at(-1), ['logout', { sid: peek(first.body.access_token).sid }])
  await again(second.cookie, 'bob')
  t.equal((await app.sessions.list('ada')).length, 1, 'another user’s as well')
  t.match(seen().at(-1), ['logout', { sid: peek(second.body.access_token).sid, sub: 'ada' }])
  const [bob] = await app.sessions.list('bob')
  const kept = await again('', 'bob')
  await again(kept.cookie, 'bob', { replace: false })
  t.equal((await app.sessions.list('bob')).length, 3)
  t.ok((await app.sessions.list('bob')).some(({ sid }) => sid === bob?.sid))
})

t.test('a login may say how long its session lives, at most as long as the plugin has it', async (t) => {
  const { login, refresh, clock, app } = await build(t)
  let client = await login({ sub: 'ada' }, { idleLifetime: '1h', absoluteLifetime: '3h' })
  t.match(client.response.headers['set-cookie'], /Max-Age=3600;/)
  for (let i = 0; i < 3; i++) {
    clock.pass(50 * minute)
    client = toClient(await refresh(client))
  }
  const [session] = await app.sessions.list('ada')
  t.equal((session?.deadline ?? 0) - (session?.createdAt ?? 0), 3 * hour)
  clock.pass(29 * minute)
  client = toClient(await refresh(client))
  clock.pass(minute)
  t.equal(codeOf(await refresh(client)), '401 REFRESH_TOKEN_EXPIRED')
  const idle = await login({ sub: 'eve' }, { idleLifetime: '1h' })
  const next = toClient(await refresh(idle))
  clock.pass(hour)
  t.equal((await refresh(next)).statusCode, 401, 'the idle lifetime is kept by every refresh')
  for (const options of [
    { idleLifetime: '15d' },
    { absoluteLifetime: '91d' },
    { idleLifetime: 0 },
    { absoluteLifetime: 'soon' }
  ]) {
    const response = await app.inject({
      method: 'POST',
      url: '/login',
      payload: { claims: { sub: 'ada' }, options }
    })
    t.equal(codeOf(response), '500 INVALID_LOGIN', JSON.stringify(options))
  }
})

t.test('data stays in the store, and sessions can be updated and opened without a request', async (t) => {
  const server = await redisFor(t)
  for (const options of [{}, { redis: server.client() }]) {
    const { app, refresh, me } = await build(t, options)
    const { sessions } = app
    const opened = await sessions.open({ sub: 'ada', role: 'user' } as never, {
      data: { note: ['x'] },
      device: 'phone'
    })
    t.equal(opened.expiresIn, 1800)
    const cookie = `__Host-refresh_token=${opened.refreshToken}`
    t.equal((await me({ authorization: `Bearer ${opened.accessToken}` })).json().sid, opened.sid)
    t.match(await sessions.list('ada'), [
      { data: { note: ['x'] }, device: 'phone', claims: { role: 'user' } }
    ])
    t.equal(
      await sessions.update('ada', opened.sid, {
        claims: { sub: 'ada', role: 'admin' } as never,
        device: 'tablet'
      }),
      true
    )
    const next = toClient(await refresh({ cookie }))
    t.match(peek(next.body.access_token), { role: 'admin', sub: 'ada' })
    t.notOk('note' in peek(next.body.access_token))
    t.equal(await sessions.update('ada', opened.sid, { data: null, device: null }), true)
    t.match(await sessions.list('ada'), [{ data: null, device: null, claims: { role: 'admin' } }])
    t.equal(
      await sessions.update('eve', opened.sid, { device: 'x' }),
      false,
      'another user’s is one that does not exist'
    )
    t.equal(await sessions.update('ada', 'x', { device: 'x' }), false)
    t.equal(await sessions.update('ada', '', { device: 'x' }), false)
    for (const wrong of [
      { claims: { sid: 'x' } },
      { claims: { sub: 'eve' } },
      { device: 1 },
      { data: () => {} },
      { data: 'x'.repeat(1024) },
      { other: 1 },
      undefined,
      null
    ]) {
      for (const sid of [opened.sid, 'x', undefined]) {
        const change = sessions.update('ada', sid as string, wrong as never)
        await t.rejects(change, { code: 'INVALID_LOGIN' })
      }
    }
    await t.rejects(sessions.open({ sub: '' } as never), { code: 'INVALID_LOGIN' })
    await Promise.all(
      Array.from(
        { length: 5 },
        async (_, i) => await sessions.update('ada', opened.sid, { data: i })
      )
    )
    t.type(
      (await sessions.list('ada'))[0]?.data,
      'number',
      'updates at once overwrite one another, and all succeed'
    )
    await sessions.revokeAll('ada')
  }
})

t.test('an update that is always overtaken gives up', async (t) => {
  const store = new MemoryStore()
  const { app } = await build(t, { store })
  const { sid } = await app.sessions.open({ sub: 'ada' } as never)
  let n = 0
  const update = store.update.bind(store)
  store.update = async (userTag, change) => {
    const record = await store.find(userTag, sid)
    await update(userTag, {
      sid,
      from: record?.content ?? '',
      to: `${change.to.split('\n')[0]}\nrace ${n++}`
    })
    return await update(userTag, change)
  }
  await t.rejects(app.sessions.update('ada', sid, { device: 'x' }), { code: 'STORE_UNAVAILABLE' })
  t.equal(n, 10)
})

t.test('the tag in a refresh token tells a guesser nothing, and two tokens of one user have nothing in common', async (t) => {
  const { login } = await build(t)
  const other = await build(t, { secret: 'another secret of thirty-two bytes or more' })
  const tokens = [await login(), await login(), await other.login()].map(({ refreshToken }) =>
    peek(refreshToken)
  )
  t.equal(new Set(tokens.map(({ tag }) => tag)).size, 3)
  for (const { tag, key } of tokens) {
    const guess = userTagOf('ada')
    t.not(tag, guess)
    t.not(tag, createHash('sha256').update('ada').digest('base64url').slice(0, 20))
    const bytes = Buffer.from(String(key), 'base64url')
    const mixed = Buffer.from(String(tag), 'base64url').map((byte, i) => byte ^ (bytes[i] ?? 0))
    t.not(
      Buffer.from(mixed).toString('base64url'),
      guess,
      'nor mixed with the key that stands beside it'
    )
  }
})

t.test('a record of another user is no answer to a token', async (t) => {
  const seen = observe(t)
  for (const content of ['0eve\n', '7\n\nnot JSON', '']) {
    for (const claims of [undefined, () => ({})]) {
      const store = new MemoryStore(new TestClock())
      const { login, refresh } = await build(t, {
        store,
        ...(claims === undefined ? {} : { claims })
      })
      const client = await login()
      const [record] = await store.list(userTagOf('ada'))
      await store.update(userTagOf('ada'), {
        sid: record?.sid ?? '',
        from: record?.content ?? '',
        to: content
      })
      const response = await refresh(client)
      t.equal(codeOf(response), '401 REFRESH_TOKEN_INVALID')
      t.notOk(response.headers['set-cookie'])
    }
  }
  t.notOk(seen().some(([name]) => name === 'refresh'))
})

t.test('the same key pair has one refresh key however it is given, and two pairs have two', async (t) => {
  const { generateKeyPairSync } = await import('node:crypto')
  const one = generateKeyPairSync('ed25519')
  const two = generateKeyPairSync('ed25519')
  const pem = {
    private: String(one.privateKey.export({ format: 'pem', type: 'pkcs8' })),
    public: String(one.publicKey.export({ format: 'pem', type: 'spki' }))
  }
  const store = new MemoryStore()
  const byObject = await build(t, {
    store,
    secret: { private: one.privateKey, public: one.publicKey }
  })
  const byPem = await build(t, { store, secret: pem })
  const other = await build(t, {
    store,
    secret: { private: two.privateKey, public: two.publicKey }
  })
  const client = await byObject.login()
  t.equal((await other.refresh(client)).json().code, 'REFRESH_TOKEN_INVALID')
  t.equal((await byPem.refresh(client)).statusCode, 200)
})

t.test('an RSA key whose exponent is small is refused', async (t) => {
  const { createPublicKey, generateKeyPairSync } = await import('node:crypto')
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicExponent: 3
  })
  await t.rejects(build(t, { secret: { private: privateKey, public: publicKey } }), {
    code: 'INVALID_OPTION',
    message: /exponent 3; allowed/
  })
  const jwk = {
    ...generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }),
    e: 'AQ'
  }
  const forged = createPublicKey({ key: jwk, format: 'jwk' })
  await t.rejects(build(t, { secret: [secret, { public: forged }] }), {
    code: 'INVALID_OPTION',
    message: /exponent 1; allowed/
  })
})

t.test('RedisStore: a dead token crowds out nobody’s confirmation', async (t) => {
  const server = await redisFor(t)
  const { login, logout } = await build(t, {
    store: new RedisStore(server.client()),
    storeTimeout: '20s',
    durability: { replicas: 1, timeout: 0.05 }
  })
  const dead = await login()
  await logout(dead)
  const answers = await Promise.all(
    Array.from({ length: 300 }, async () => (await logout(dead)).statusCode)
  )
  t.strictSame(
    new Set(answers),
    new Set([202]),
    'without a replica nothing is confirmed, and nothing hangs'
  )
})
