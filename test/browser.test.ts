import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import authPlugin, { MemoryStore } from '../lib/index'
import { minute, secret, TestClock } from './support/app'
import { inAll, launch, openFive, openTab, openTabs, until } from './support/browser/chromium'
import { serve } from './support/browser/site'
import { apply } from './support/recipe'

const newProfile = launch(t)
const runOut = `passed += ${31 * minute}`

t.test('five tabs whose access token runs out at once refresh once', async (t) => {
  const { origin, clock, refreshes } = await serve(t)
  const tabs = await openFive(await newProfile(t), origin)
  refreshes()
  for (let round = 0; round < 10; round++) {
    clock.pass(31 * minute)
    await inAll(tabs, runOut)
    t.strictSame(await inAll(tabs, "ask('/me')"), [200, 200, 200, 200, 200])
    t.strictSame(refreshes(), [200], 'one tab asks and tells the others')
  }
})

t.test('five tabs that are refused at once refresh once', async (t) => {
  const { origin, clock, refreshes } = await serve(t)
  const tabs = await openFive(await newProfile(t), origin)
  refreshes()
  clock.pass(31 * minute)
  const statuses = await inAll(tabs, "ask('/me')")
  t.strictSame(statuses, [200, 200, 200, 200, 200], 'though the pages took their token for good')
  t.strictSame(refreshes(), [200])
})

t.test('five tabs without the client, all with one cookie at once, stay logged in', async (t) => {
  const { origin, clock, refreshes, gather } = await serve(t)
  const tabs = await openFive(await newProfile(t), origin)
  refreshes()
  gather(5)
  const refresh = "fetch('/auth/refresh', { method: 'POST' }).then(({ status }) => status)"
  for (let round = 0; round < 3; round++) {
    t.strictSame(await inAll(tabs, refresh), [200, 200, 200, 200, 200])
    clock.pass(minute)
  }
})

// Answers overtake one another, so tokens of several generations are in use at once. With 'issue'
// the grace period lets them in; with 'use' they may be as late as they like.
for (const [spentOn, count] of [['issue', 8], ['use', 5]] as const) {
  t.test(`${count} tabs without the client, at any pace, stay in (${spentOn})`, async (t) => {
    const site = await serve(t, { ticking: true, refreshToken: { spentOn } })
    site.jitter(15)
    // Of three users at once, so that 21 rounds do not take minutes.
    const users = await Promise.all([1, 2, 3].map(async (user) => {
      const tabs = await openTabs(await newProfile(t), `${site.origin}/bare`, count)
      await tabs[0]?.evaluate(`post('/login', { sub: 'user ${user}' })`)
      return { user, tabs }
    }))
    for (let round = 0; round < 7; round++) {
      const statuses = await Promise.all(users.map(async ({ tabs }) => await inAll(tabs, 'race()')))
      t.strictSame(statuses.flat(2).filter((status) => status !== 200), [], `round ${round}`)
      if (spentOn === 'use') site.clock.pass(minute)
    }
    t.equal(site.refreshes().length, 21 * count * 2)
    for (const { user } of users) {
      t.equal((await site.app.sessions.list(`user ${user}`)).length, 1)
    }
  })
}

t.test('a session survives a reload', async (t) => {
  const { origin } = await serve(t)
  const tab = await openTab(await newProfile(t), origin)
  t.equal(await tab.evaluate('auth.restore()'), false, 'before the login there is none')
  const login = "auth.login('/login', { sub: 'ada' }).then(({ status }) => status)"
  t.equal(await tab.evaluate(login), 200)
  t.equal(await tab.evaluate("ask('/me')"), 200)
  await tab.reload()
  await until(tab, 'window.ask')
  t.equal(await tab.evaluate('auth.restore()'), true)
  t.equal(await tab.evaluate("ask('/me')"), 200)
  t.equal(await tab.evaluate('ended'), 0)
})

t.test('a logout in one tab is a logout in all', async (t) => {
  const { origin } = await serve(t)
  const tabs = await openFive(await newProfile(t), origin)
  t.equal(await tabs[2].evaluate('auth.logout().then(({ status }) => status)'), 204)
  await Promise.all(tabs.map(async (tab) => await until(tab, 'ended === 1')))
  t.strictSame(await inAll(tabs, "ask('/me')"), [401, 401, 401, 401, 401])
  t.strictSame(await inAll(tabs, 'ended'), [1, 1, 1, 1, 1], 'each is told once')
})

t.test('a session that is refused ends in all tabs, once', async (t) => {
  const { origin, clock, app, refreshes } = await serve(t)
  const tabs = await openFive(await newProfile(t), origin)
  await app.sessions.revokeAll('ada')
  refreshes()
  clock.pass(31 * minute)
  await inAll(tabs, runOut)
  t.strictSame(await inAll(tabs, "ask('/me')"), [401, 401, 401, 401, 401])
  t.strictSame(refreshes(), [401])
  await Promise.all(tabs.map(async (tab) => await until(tab, 'ended === 1')))
})

t.test('what was in flight during a logout is discarded', async (t) => {
  const { origin, clock, hold } = await serve(t)
  const tab = await openTab(await newProfile(t), origin)
  await tab.evaluate("auth.login('/login', { sub: 'ada' })")
  clock.pass(31 * minute)
  const { arrived, release } = hold()
  const status = tab.evaluate(`${runOut}; ask('/me')`)
  await arrived
  await tab.evaluate('auth.logout()')
  release()
  t.equal(await status, 401)
  t.equal(await tab.evaluate("ask('/me')"), 401)
  t.equal(await tab.evaluate('ended'), 1)
})

t.test('a tab that is closed while it holds the lock stops nobody', async (t) => {
  const { origin, clock, hold } = await serve(t)
  const context = await newProfile(t)
  const [holder, waiter] = await openFive(context, origin)
  clock.pass(31 * minute)
  const { arrived, release } = hold()
  holder.evaluate(`${runOut}; ask('/me')`).catch(() => {}) // It is closed before it knows.
  await arrived
  const status = waiter.evaluate(`${runOut}; ask('/me')`)
  await until(waiter, 'navigator.locks.query().then(({ pending }) => pending.length === 1)')
  await holder.close()
  t.equal(await status, 200, 'the other one repeats what was asked')
  release()
  t.equal(await waiter.evaluate('ended'), 0)
})

t.test('a tab that keeps the lock for ever stops nobody', async (t) => {
  const { origin, clock } = await serve(t)
  const [holder, waiter] = await openFive(await newProfile(t), origin)
  await holder.evaluate(`new Promise((held) => navigator.locks.request(origin + '/auth/', () => {
    held()
    return new Promise(() => {})
  }))`)
  clock.pass(31 * minute)
  t.equal(await waiter.evaluate(`${runOut}; ask('/me')`), 200, 'once its patience is at an end')
})

t.test('who goes offline and comes back is still logged in', async (t) => {
  const { origin, clock } = await serve(t)
  const context = await newProfile(t)
  const [tab] = await openFive(context, origin)
  await context.setOffline(true)
  clock.pass(31 * minute)
  const failed = await tab.evaluate(
    `${runOut}; ask('/me').catch(({ message, cause }) => ({ message, cause }))`)
  t.match(failed, { message: 'refresh failed', cause: { wait: 1 } })
  await context.setOffline(false)
  await until(tab, "ask('/me').then((status) => status === 200, () => false)")
  t.equal(await tab.evaluate('ended'), 0)
})

t.test('the cookie is out of reach of scripts', async (t) => {
  const { origin } = await serve(t)
  const context = await newProfile(t)
  const tab = await openTab(context, origin)
  await tab.evaluate("auth.login('/login', { sub: 'ada' })")
  t.equal(await tab.evaluate('document.cookie'), '')
  t.strictSame(await tab.evaluate('cookieStore.getAll()'), [])
  t.match(await context.cookies(`${origin}/auth`), [
    { name: '__Host-refresh_token', httpOnly: true, secure: true, sameSite: 'Strict', path: '/' }
  ])
  const stored = await tab.evaluate('[localStorage.length, sessionStorage.length]')
  t.strictSame(stored, [0, 0], 'and the access token is stored nowhere')
})

t.test('a photo goes with a login, and others may keep requests alive', async (t) => {
  const { origin, refreshes } = await serve(t)
  const tab = await openTab(await newProfile(t), origin)
  const statusOf = (call: string) => `${call}.then(({ status }) => status)`
  const photo = "{ sub: 'ada', photo: 'x'.repeat(70_000) }"
  t.equal(await tab.evaluate(statusOf(`auth.login('/login', ${photo})`)), 200)
  refreshes()
  // As an analytics library does; 64 KiB is all that a page may keep alive.
  await tab.evaluate(`{
    const body = 'x'.repeat(64 * 1024)
    fetch('/slow', { method: 'POST', keepalive: true, body })
    undefined
  }`)
  t.equal(await tab.evaluate('auth.refresh()'), true)
  t.strictSame(refreshes(), [200])
  t.equal(await tab.evaluate(statusOf('auth.logout()')), 204)
})

t.test('a page of another origin learns when to come again', async (t) => {
  const site = await serve(t)
  const trustedOrigins = [site.origin]
  const api = await serve(t, { trustedOrigins, cors: site.origin })
  const tab = await openTab(await newProfile(t), site.origin)
  await tab.evaluate(`window.auth = createClient({ prefix: '${api.origin}/auth' })`)
  await tab.evaluate("auth.login('/login', { sub: 'ada' })")
  t.equal(await tab.evaluate("ask('/me')"), 200, 'relative URLs are those of the API')
  api.break(7)
  const cause = await tab.evaluate('auth.refresh().catch(({ cause }) => cause)')
  t.match(cause, { status: 503, wait: 7 })
})

/** Serves an API to the pages of one other origin, as docs/development.md has it. */
async function serveApi (t: Test, origin: string) {
  const clock = new TestClock()
  const app: FastifyInstance = Fastify({ forceCloseConnections: true })
  t.teardown(async () => await app.close())
  const given = { authPlugin, secret, store: new MemoryStore(clock) }
  await apply('docs/development.md', 'http://localhost:5173', app, given, (code) =>
    code.replace('http://localhost:5173', origin))
  app.post('/login', async (request, reply) => {
    const { password } = request.body as { password?: string }
    if (password !== 'lovelace') return await reply.code(403).send({ message: 'Wrong' })
    return await reply.login({ sub: 'ada' })
  })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  app.delete('/devices/:sid', { onRequest: app.authenticate }, async ({ user, params }, reply) => {
    const { sid } = params as { sid: string }
    const { sub } = user as { sub: string }
    return await reply.code(await app.sessions.revoke(sub, sid) ? 204 : 404).send()
  })
  app.delete('/account', {
    preHandler: async (request) => { await request.authenticate({ maxAge: '5m' }) }
  }, async (_request, reply) => await reply.code(204).send())
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, clock, origin: app.listeningOrigin.replace('127.0.0.1', 'localhost') }
}

t.test('a page of another port logs in, refreshes, reads challenges and ends a device', async (t) => {
  const site = await serve(t)
  const { app, clock, origin } = await serveApi(t, site.origin)
  const tab = await openTab(await newProfile(t), site.origin)
  const call = async (code: string) => await tab.evaluate(`${code}.then(async (response) => ({
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    body: await response.text()
  }))`)
  await tab.evaluate(`window.auth = createClient({ prefix: '${origin}/auth' })`)
  t.match(await call("auth.login('/login', { password: 'wrong' })"), { status: 403, body: /Wrong/ })
  t.match(await call("auth.fetch('/me')"), { status: 401, challenge: 'Bearer' })
  t.match(await call("auth.login('/login', { password: 'lovelace' })"), { status: 200 })
  t.match(await call("auth.fetch('/me')"), { status: 200, body: /"sub":"ada"/ })

  clock.pass(31 * minute)
  t.match(await call(`${runOut}; auth.fetch('/me')`), { status: 200 }, 'refreshed')
  t.match(await app.sessions.list('ada'), [{ generation: 2 }])

  const old = await call("auth.fetch('/account', { method: 'DELETE' })")
  t.match(old, { status: 401, challenge: /insufficient_user_authentication.*max_age=300/ })
  t.match(await app.sessions.list('ada'), [{ generation: 2 }], 'the client has read it, too')

  const { sid } = await app.sessions.open({ sub: 'ada' })
  t.match(await call(`auth.fetch('/devices/${sid}', { method: 'DELETE' })`), { status: 204 })
  t.equal((await app.sessions.list('ada')).length, 1)
  t.match(await call('auth.logout()'), { status: 204 })
  t.strictSame(await app.sessions.list('ada'), [])
})
