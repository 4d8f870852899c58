import t from 'tap'
import { minute } from './support/app'
import { inAll, launch, openTab } from './support/browser/chromium'
import { serveSite } from './support/dpop/site'

const newProfile = launch(t)

for (const bound of [false, true]) {
  t.test(`a page logs in, and goes on after a reload; access tokens bound: ${bound}`, async (t) => {
    const { app, origin, clock, calls } = await serveSite(t, { bound })
    const tab = await openTab(await newProfile(t), origin)
    t.equal(await tab.evaluate("auth.login('/login', { sub: 'ada' }).then(({ ok }) => ok)"), true)
    t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 1 }])
    t.equal(await tab.evaluate("ask('/me')"), 200)
    t.strictSame(calls(), ['/login 200', '/me 200'], 'no round trip more')
    await tab.reload()
    await tab.waitForFunction('window.ask')
    t.equal(await tab.evaluate('auth.restore()'), true)
    t.equal(await tab.evaluate("ask('/me')"), 200)
    t.strictSame(calls(), ['/auth/refresh 200', '/me 200'])
    t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 2 }])
    clock.pass(31 * minute)
    await tab.evaluate(`passed += ${31 * minute}`)
    t.equal(await tab.evaluate("ask('/me')"), 200, 'though the clock of the page is behind now')
    t.strictSame(calls()[0], '/auth/refresh 400', 'by a nonce')
    t.match(await app.sessions.list('ada'), [{ generation: 3 }])
  })

  t.test(`two tabs share a key and refresh once; access tokens bound: ${bound}`, async (t) => {
    const { app, origin, clock, calls } = await serveSite(t, { bound })
    const profile = await newProfile(t)
    const tabs = [await openTab(profile, origin), await openTab(profile, origin)]
    await tabs[0]?.evaluate("auth.login('/login', { sub: 'ada' })")
    t.strictSame(await inAll(tabs, 'auth.restore()'), [true, true])
    calls()
    clock.pass(31 * minute)
    await inAll(tabs, `passed += ${31 * minute}`)
    t.strictSame(await inAll(tabs, "ask('/me')"), [200, 200])
    const refreshes = calls().filter((call) => call.startsWith('/auth/refresh'))
    t.strictSame(refreshes, ['/auth/refresh 400', '/auth/refresh 200'])
    t.equal(await tabs[1]?.evaluate('auth.logout().then(({ status }) => status)'), 204)
    await tabs[0]?.waitForFunction('ended === 1')
    t.strictSame(await app.sessions.list('ada'), [])
    t.strictSame(await inAll(tabs, 'auth.restore()'), [false, false])
  })
}

t.test('a cookie that is copied to another profile is worth nothing there', async (t) => {
  const { app, origin, calls } = await serveSite(t)
  const profile = await newProfile(t)
  const tab = await openTab(profile, origin)
  await tab.evaluate("auth.login('/login', { sub: 'ada' })")
  const thief = await newProfile(t)
  const theirs = await openTab(thief, origin)
  for (let i = 0; i < 5; i++) {
    await thief.addCookies(await profile.cookies())
    calls()
    t.equal(await theirs.evaluate('auth.restore()'), false)
    t.strictSame(calls(), ['/auth/refresh 401'])
    t.equal(await theirs.evaluate("ask('/me')"), 401)
    const bare = "fetch('/auth/refresh', { method: 'POST' }).then(({ status }) => status)"
    t.equal(await theirs.evaluate(bare), 400, 'without a key')
    await tab.reload()
    await tab.waitForFunction('window.ask')
    t.equal(await tab.evaluate('auth.restore()'), true, 'the owner goes on')
  }
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 6 }])
})

t.test('a token from the storage of a page is worth nothing elsewhere', async (t) => {
  const { app, origin, calls } = await serveSite(t, { bound: true })
  const url = `${origin}/storage`
  const tab = await openTab(await newProfile(t), url)
  await tab.evaluate("auth.login('/login', { sub: 'ada', transport: 'body' })")
  t.equal(await tab.evaluate("ask('/me')"), 200)
  const token = await tab.evaluate<string>("localStorage.getItem('token')")
  const accessToken = await tab.evaluate<string>('auth.accessToken()')
  const theirs = await openTab(await newProfile(t), url)
  await theirs.evaluate(`localStorage.setItem('token', '${token}')`)
  calls()
  t.equal(await theirs.evaluate('auth.restore()'), false)
  t.strictSame(calls(), ['/auth/refresh 400', '/auth/refresh 401'], 'a nonce, and no')
  const headers = `{ headers: { authorization: 'Bearer ${accessToken}' } }`
  const ask = `fetch('/me', ${headers}).then(({ status }) => status)`
  t.equal(await theirs.evaluate(ask), 401, 'nor is the access token')
  await tab.reload()
  await tab.waitForFunction('window.ask')
  t.equal(await tab.evaluate('auth.restore()'), true)
  t.equal(await tab.evaluate("ask('/me')"), 200)
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 2 }])
  t.equal(await tab.evaluate('auth.logout().then(({ status }) => status)'), 204)
  t.strictSame(await app.sessions.list('ada'), [])
  t.equal(await tab.evaluate("localStorage.getItem('token')"), null)
})

t.test('the key does not leave the browser', async (t) => {
  const { origin } = await serveSite(t)
  const tab = await openTab(await newProfile(t), origin)
  await tab.evaluate("auth.login('/login', { sub: 'ada' })")
  const exported = tab.evaluate(`new Promise((resolve) => {
    indexedDB.open('fastify-jwt-sessions').onsuccess = ({ target }) => {
      target.result.transaction('keys').objectStore('keys').get('dpop').onsuccess = (event) =>
        resolve(event.target.result)
    }
  }).then(({ privateKey }) => crypto.subtle.exportKey('pkcs8', privateKey))`)
  await t.rejects(exported, { message: /not extractable/ })
})
