import t from 'tap'
import { minute } from './support/app'
import { inAll, launch, openFive, openTab, until } from './support/browser/chromium'
import { serve } from './support/browser/site'

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
  t.strictSame(await inAll(tabs, "ask('/me')"), [200, 200, 200, 200, 200], 'though the pages took their token for good')
  t.strictSame(refreshes(), [200])
})

t.test('five tabs without the client, all with the same cookie, stay logged in by the grace period', async (t) => {
  const { origin, clock, refreshes, gather } = await serve(t)
  const tabs = await openFive(await newProfile(t), origin)
  refreshes()
  gather(5)
  for (let round = 0; round < 3; round++) {
    t.strictSame(await inAll(tabs, "fetch('/auth/refresh', { method: 'POST' }).then(({ status }) => status)"), [200, 200, 200, 200, 200])
    clock.pass(minute)
  }
})

t.test('a session survives a reload', async (t) => {
  const { origin } = await serve(t)
  const tab = await openTab(await newProfile(t), origin)
  t.equal(await tab.evaluate('auth.restore()'), false, 'before the login there is none')
  t.equal(await tab.evaluate("auth.login('/login', { sub: 'ada' }).then(({ status }) => status)"), 200)
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
  await holder.evaluate("new Promise((held) => navigator.locks.request(origin + '/auth', () => { held(); return new Promise(() => {}) }))")
  clock.pass(31 * minute)
  t.equal(await waiter.evaluate(`${runOut}; ask('/me')`), 200, 'once its patience of five seconds is over')
})

t.test('who goes offline and comes back is still logged in', async (t) => {
  const { origin, clock } = await serve(t)
  const context = await newProfile(t)
  const [tab] = await openFive(context, origin)
  await context.setOffline(true)
  clock.pass(31 * minute)
  t.match(await tab.evaluate(`${runOut}; ask('/me').catch(({ message, cause }) => ({ message, cause }))`), { message: 'refresh failed', cause: { wait: 1 } })
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
  t.match(await context.cookies(`${origin}/auth`), [{ name: '__Host-refresh_token', httpOnly: true, secure: true, sameSite: 'Strict', path: '/' }])
  t.strictSame(await tab.evaluate('[localStorage.length, sessionStorage.length]'), [0, 0], 'and the access token is stored nowhere')
})
