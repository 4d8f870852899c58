import { minute } from './support/app'
import { access, namesOf, onBoth, refresh, type Jar } from './support/cookie-mode'
import { observe } from './support/events'
import { until } from './support/servers/until'

onBoth('a request without a living access cookie is renewed', async (t, { begin, expire }) => {
  const app = await begin()
  const jar = await app.login({ sub: 'ada', role: 'admin' })
  const before = (await app.send(jar, '/me')).json()
  expire(app, jar)
  const response = await app.visit(jar, '/me')
  const { user, sid } = response.json()
  t.match(user, { sub: 'ada', role: 'admin', sid })
  t.equal(sid, before.sid)
  t.strictSame(namesOf(response), [access, refresh])
  t.equal(response.headers['cache-control'], 'no-store')
  const common = { path: '/', httpOnly: true, secure: true, sameSite: 'Lax' }
  t.match(response.cookies, [{ maxAge: 1800, ...common }, { maxAge: 1209600, ...common }])
  const after = await app.send(jar, '/me')
  t.strictSame([after.json(), after.cookies], [{ user, sid }, []], 'as the new access token says')
})

onBoth('a request is renewed once, whatever guards it meets', async (t, { begin, expire }) => {
  const seen = observe(t)
  const users: unknown[] = []
  const app = await begin({
    extend: (app) => {
      app.get('/many', {
        onRequest: [app.authenticate, app.authenticate],
        preHandler: [app.authenticate, async (request) => {
          users.push(await request.authenticate({ maxAge: '1d' }))
          const live = request.authenticate({ live: true })
          users.push(...await Promise.all([live, request.authenticate()]))
        }]
      }, async ({ user }) => user)
    }
  })
  const jar = await app.login()
  expire(app, jar)
  const response = await app.send(jar, '/many')
  t.equal(response.statusCode, 200)
  t.strictSame(namesOf(response), [access, refresh])
  t.equal(seen().filter(([name]) => name === 'refresh').length, 1)
  t.equal(new Set(users).size, 3, 'each guard has a copy of its own')
})

onBoth('a call without a guard before it renews as well', async (t, { begin, expire }) => {
  const app = await begin({
    extend: (app) => { app.get('/call', async (request) => await request.authenticate()) }
  })
  const jar = await app.login()
  expire(app, jar)
  t.strictSame(namesOf(await app.send(jar, '/call')), [access, refresh])
})

onBoth('200 parallel requests are all renewed and let in', async (t, { begin, expire }) => {
  const app = await begin()
  const jar = await app.login()
  expire(app, jar)
  const many = async (jar: Jar) => await Promise.all(
    Array.from({ length: 200 }, async () => await app.send(jar, '/me')))
  const answers = await many(jar)
  t.strictSame([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
  // Whichever answer comes last, its cookies are good.
  for (const answer of [answers[0], answers[100], answers[199]]) {
    const copy = jar.copy()
    copy.take(answer as never)
    expire(app, copy)
    const next = await many(copy)
    t.strictSame([...new Set(next.map(({ statusCode }) => statusCode))], [200])
  }
})

onBoth('an answer that is lost has spent nothing', async (t, { begin, expire }) => {
  const seen = observe(t)
  const app = await begin()
  const jar = await app.login()
  expire(app, jar)
  for (let lost = 0; lost < 5; lost++) {
    t.equal((await app.send(jar, '/me')).statusCode, 200)
    app.clock.pass(24 * 60 * minute)
  }
  t.match(await app.app.sessions.list('ada'), [{ generation: 1 }])
  await app.visit(jar, '/me')
  expire(app, jar)
  await app.visit(jar, '/me')
  t.match(await app.app.sessions.list('ada'), [{ generation: 2 }])
  t.strictSame(seen().filter(([name]) => name === 'reuse' || name === 'repeat'), [])
})

onBoth('a renewed request that logs in or out sends those cookies alone', async (t, both) => {
  const { begin, expire } = both
  const app = await begin({
    extend: (app) => {
      app.post('/switch', { onRequest: app.authenticate }, async (_request, reply) =>
        // The old session lives on: nothing but the login keeps its cookies back.
        await reply.login({ sub: 'bob' }, { replace: false }))
    }
  })
  const jar = await app.login()
  expire(app, jar)
  const switched = await app.visit(jar, '/switch', { method: 'POST' })
  t.strictSame(namesOf(switched), [access, refresh])
  t.match((await app.send(jar, '/me')).json(), { user: { sub: 'bob' } })
  expire(app, jar)
  const left = await app.visit(jar, '/leave', { method: 'POST' })
  t.strictSame(namesOf(left), [access, refresh])
  t.strictSame(left.cookies.map(({ maxAge }) => maxAge), [0, 0])
  t.match((await app.send(jar, '/me')).json(), { code: 'ACCESS_TOKEN_MISSING' })
  t.strictSame(await app.app.sessions.list('bob'), [])
})

onBoth('a login that sets no cookies keeps no renewed ones back', async (t, { begin, expire }) => {
  const app = await begin({
    refreshToken: { transports: ['cookie', 'body'] },
    extend: (app) => {
      app.get('/token', { onRequest: app.authenticate }, async (_request, reply) =>
        await reply.login({ sub: 'ada' }, { transport: 'body' }))
      app.get('/try', { onRequest: app.authenticate }, async (_request, reply) =>
        await reply.login({ sub: '' }).catch(({ code }) => code))
    }
  })
  const jar = await app.login()
  expire(app, jar)
  const inBody = await app.visit(jar, '/token')
  t.match(inBody.json(), { refresh_token: String })
  t.strictSame(namesOf(inBody), [access, refresh])
  expire(app, jar)
  const tried = await app.visit(jar, '/try')
  t.equal(tried.body, 'INVALID_LOGIN')
  t.strictSame(namesOf(tried), [access, refresh])
  t.equal((await app.visit(jar, '/me')).statusCode, 200)
})

onBoth('an answer after the logout brings nobody back', async (t, { begin, expire }) => {
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  let arrived = false
  const app = await begin({
    extend: (app) => {
      app.get('/slow', { onRequest: app.authenticate }, async () => {
        arrived = true
        await gate
        return 'late'
      })
    }
  })
  const jar = await app.login()
  expire(app, jar)
  const late = app.send(jar, '/slow')
  await until('the request to be let in', () => arrived)
  const copy = jar.copy()
  await app.visit(jar, '/auth/logout', { method: 'POST' })
  t.equal(jar.header, '')
  release()
  const response = await late
  t.equal(response.statusCode, 200)
  t.strictSame(response.cookies, [])
  jar.take(response)
  t.equal((await app.send(jar, '/me')).statusCode, 401)
  t.equal((await app.send(copy, '/me')).statusCode, 401)
})
