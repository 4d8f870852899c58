import t from 'tap'
import { MemoryStore, type Store } from '../lib/index'
import { TestClock } from './support/app'
import { access, Jar, namesOf, refresh, runOut, start, type Options } from './support/cookie-mode'

t.test('a login sets both cookies, and answers how long the access token lives', async (t) => {
  const { login } = await start(t)
  const { response } = await login()
  t.strictSame(response.json(), { expires_in: 1800 })
  t.equal(response.headers['cache-control'], 'no-store')
  const common = { path: '/', httpOnly: true, secure: true, sameSite: 'Lax' }
  t.match(response.cookies, [
    { name: access, maxAge: 1800, ...common }, { name: refresh, maxAge: 1209600, ...common }
  ])
})

t.test('a login that is not to be remembered sets cookies that go with the browser', async (t) => {
  const { login, visit, clock } = await start(t)
  const jar = await login({ sub: 'ada' }, { remember: false })
  t.strictSame(jar.response.cookies.map(({ maxAge }) => maxAge), [undefined, undefined])
  clock.pass(runOut)
  const { cookies } = await visit(jar, '/me')
  const set = cookies.map(({ name, maxAge }) => [name, maxAge])
  t.strictSame(set, [[access, undefined], [refresh, undefined]])
})

t.test('the attributes decide on the name of the cookie', async (t) => {
  for (const [cookie, name] of [
    [{ domain: 'example.com' }, '__Secure-access_token'],
    [{ path: '/app' }, '__Secure-access_token'],
    [{ secure: false }, 'access_token'], [{ name: 'at' }, 'at'], [{}, access]
  ] as const) {
    const { login } = await start(t, { accessToken: { cookie } })
    t.equal((await login()).response.cookies[0]?.name, name)
  }
  const { login } = await start(t, { accessToken: { cookie: false } })
  t.match((await login()).response.json(), { access_token: String, token_type: 'Bearer' })
})

t.test('a refresh sets both cookies as well', async (t) => {
  const { login, visit, clock } = await start(t)
  const jar = await login()
  clock.pass(runOut)
  const response = await visit(jar, '/auth/refresh', { method: 'POST' })
  t.strictSame(response.json(), { expires_in: 1800 })
  t.strictSame(namesOf(response), [access, refresh])
  t.equal((await visit(jar, '/me')).statusCode, 200)
})

t.test('what cookie mode cannot be with is refused', async (t) => {
  const refused = async (options: Options): Promise<unknown> =>
    await start(t, options).then(() => undefined, (error: unknown) => error)
  const given = { accessToken: { cookie: true } }
  for (const refreshToken of [
    { paired: true }, { transports: ['body' as const] }, { bindings: ['dbsc' as const] },
    { cookie: { name: access } }
  ]) {
    const code = 'INVALID_OPTION'
    t.match(await refused({ ...given, refreshToken }), { code, message: /accessToken\.cookie/ })
  }
  t.match(await refused({ accessToken: { cookie: 1 as never } }), { message: /cookie is 1;/ })
  const insecure = { sameSite: 'none' as const, secure: false }
  t.match(await refused({ accessToken: { cookie: insecure } }), { code: 'INVALID_OPTION' })
})

t.test('revocation is pushed if the store can listen, unless options say otherwise', async (t) => {
  const deaf: Store = Object.assign(new MemoryStore(new TestClock()), { listen: undefined })
  const cases: Array<[Options, number]> = [
    [{}, 401], [{ revocation: 'none' }, 200], [{ store: deaf }, 200]
  ]
  for (const [options, status] of cases) {
    const { app, login, visit } = await start(t, options)
    const jar = await login()
    await app.sessions.revokeAll('ada')
    const response = await visit(jar, '/me')
    t.equal(response.statusCode, status)
    if (status === 401) t.match(response.json(), { code: 'SESSION_REVOKED' })
  }
})

t.test('claims that do not fit into a cookie are refused', async (t) => {
  const { app, login, send } = await start(t, {
    refreshToken: { transports: ['cookie', 'body'] },
    claims: () => ({ many: 'x'.repeat(4000) })
  })
  const { response } = await login({ sub: 'ada', many: 'x'.repeat(3000) })
  const message = /make a cookie of 4\d{3} characters; 4000 are the most/
  t.match(response.json(), { code: 'INVALID_LOGIN', message })
  t.strictSame(response.cookies, [])
  const inBody = await login({ sub: 'ada', many: 'x'.repeat(3000) }, { transport: 'body' })
  t.equal(inBody.response.statusCode, 200)
  const jar = await login()
  const refreshed = await send(jar, '/auth/refresh', { method: 'POST' })
  t.match(refreshed.json(), { code: 'INVALID_CLAIMS', statusCode: 500 })
  t.strictSame(refreshed.cookies, [])
  const { sid } = (await send(jar, '/me')).json()
  const claims = { many: 'x'.repeat(4000) } as never
  await t.rejects(app.sessions.update('ada', sid, { claims }), { message: /make a cookie/ })

  let most = 2700
  const fits = async (length: number): Promise<boolean> =>
    (await login({ sub: 'ada', many: 'x'.repeat(length) })).response.statusCode === 200
  while (await fits(most + 1)) most++
  const { cookies } = await login({ sub: 'ada', many: 'x'.repeat(most) })
  const length = access.length + (cookies.get(access) ?? '').length
  t.ok(length <= 4000 && length > 3996, `${length} characters`)
})

t.test('a session whose claims were always too many for a cookie is not renewed', async (t) => {
  const store = new MemoryStore(new TestClock())
  const before = await start(t, { store, accessToken: {} })
  const jar = await before.login({ sub: 'ada', many: 'x'.repeat(4000) })
  const { send } = await start(t, { store })
  const response = await send(jar, '/me')
  t.match(response.json(), { code: 'INVALID_CLAIMS', statusCode: 500 })
  t.strictSame(response.cookies, [])
})

t.test('a foreign page cannot log its visitor in', async (t) => {
  const { send, login } = await start(t, {
    refreshToken: { transports: ['cookie', 'body'] }, trustedOrigins: ['https://idp.example']
  })
  const post = async (origin: string, options = {}) => await send(new Jar(), '/login', {
    method: 'POST', headers: { origin, host: 'app.example' }, payload: [{ sub: 'mallory' }, options]
  })
  const forged = await post('https://evil.example')
  t.match(forged.json(), { code: 'CROSS_ORIGIN_REQUEST', statusCode: 403 })
  t.strictSame(forged.cookies, [])
  t.equal((await post('https://app.example')).statusCode, 200)
  t.equal((await post('https://idp.example')).statusCode, 200)
  t.equal((await post('https://evil.example', { transport: 'body' })).statusCode, 200, 'which sets no cookie')
  t.equal((await login()).response.statusCode, 200)
})

t.test('a Bearer token comes before any cookie, and another scheme is none', async (t) => {
  const { login, send, clock } = await start(t, {
    refreshToken: { transports: ['cookie', 'body'] }
  })
  const jar = await login()
  const other = (await login({ sub: 'bob' }, { transport: 'body' })).response.json()
  t.match(other, { access_token: String, refresh_token: String, token_type: 'Bearer' })
  const as = async (authorization: string, method: 'GET' | 'POST' = 'GET') =>
    await send(jar, '/me', { method, headers: { authorization, 'sec-fetch-site': 'cross-site' } })
  const bearer = `Bearer ${other.access_token}`
  t.match((await as(bearer)).json(), { user: { sub: 'bob' } })
  t.match((await as(bearer, 'POST')).json(), { user: { sub: 'bob' } }, 'from wherever')
  t.equal((await as(bearer)).headers['cache-control'], undefined)
  t.match((await as('Bearer nonsense')).json(), { code: 'ACCESS_TOKEN_INVALID' })
  t.match((await as('Basic YTpi')).json(), { user: { sub: 'ada' } })
  clock.pass(runOut)
  const expired = await as(bearer)
  t.match(expired.json(), { code: 'ACCESS_TOKEN_EXPIRED' })
  t.strictSame(expired.cookies, [])
})

t.test('a Bearer token logs out from wherever, by the plugin\'s route and the application\'s', async (t) => {
  const { app, login, send } = await start(t, {
    refreshToken: { transports: ['cookie', 'body'] }
  })
  const from = { 'sec-fetch-site': 'cross-site' }
  for (const [url, status] of [['/auth/logout', 204], ['/leave', 200]] as const) {
    const jar = await login()
    const { access_token: token } = (await login({ sub: 'bob' }, { transport: 'body' })).response.json()
    const headers = { ...from, authorization: `Bearer ${token}` }
    const forged = await send(jar, url, { method: 'POST', headers })
    t.match(forged.json(), { code: 'CROSS_ORIGIN_REQUEST' }, 'a cookie beside it may be a victim\'s')
    t.equal((await app.sessions.list('bob')).length, 1)
    t.equal((await send(new Jar(), url, { method: 'POST', headers })).statusCode, status)
    t.strictSame(await app.sessions.list('bob'), [])
    t.equal((await app.sessions.list('ada')).length, 1)
    await app.sessions.revokeAll('ada')
  }
  for (const authorization of ['', 'Basic YTpi']) {
    const headers = { ...from, authorization }
    const answer = await send(new Jar(), '/auth/logout', { method: 'POST', headers })
    t.match(answer.json(), { code: 'CROSS_ORIGIN_REQUEST' }, authorization)
    t.strictSame(answer.cookies, [])
  }
})

t.test('an unsafe request of a foreign page is refused, and renews nothing', async (t) => {
  const trustedOrigins = ['https://friend.example']
  const { app, login, send, clock } = await start(t, { trustedOrigins })
  const jar = await login()
  const foreign = [
    { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' }, { origin: 'null' }
  ]
  const own = [
    {}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' },
    { origin: 'http://localhost' },
    { 'sec-fetch-site': 'cross-site', origin: 'https://friend.example' }
  ]
  for (const time of ['while the access cookie lives', 'once it has run out']) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      for (const headers of foreign) {
        const response = await send(jar, '/me', { method, headers })
        t.match(response.json(), { code: 'CROSS_ORIGIN_REQUEST' }, `${method} ${time}`)
        t.equal(response.statusCode, 403)
        t.strictSame(response.cookies, [])
      }
      for (const headers of own) {
        t.equal((await send(jar, '/me', { method, headers })).statusCode, 200)
      }
    }
    for (const headers of foreign) {
      const link = await send(jar, '/me', { headers })
      t.equal(link.statusCode, 200, 'a link leads in')
      const handshake = { ...headers, upgrade: 'websocket', connection: 'upgrade' }
      t.equal((await send(jar, '/me', { headers: handshake })).statusCode, 403)
    }
    clock.pass(runOut)
  }
  t.match(await app.sessions.list('ada'), [{ generation: 1 }])
  const post = { method: 'POST', headers: { origin: 'https://evil.example' } } as const
  for (const name of [access, refresh]) {
    t.equal((await send(jar.copy(name), '/me', post)).statusCode, 403, 'one of the two will do')
  }
  t.equal((await send(new Jar(), '/me', post)).statusCode, 401, 'without any, nothing is forged')
})
