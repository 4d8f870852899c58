import { request } from 'node:https'
import type { Browser, BrowserContext } from 'playwright-core'
import t from 'tap'
import { minute, second } from './support/app'
import { createCertificate } from './support/dbsc/certificate'
import { launchBinding, launchWithProfile } from './support/dbsc/chromium'
import { serve } from './support/dbsc/site'
import { Tab } from './support/dbsc/tab'
import { observe } from './support/events'
import { redisFor } from './support/servers/redis'
import { temporaryFolder } from './support/servers/launch'
import { until } from './support/servers/until'

type Test = InstanceType<typeof import('tap').Test>

const certificate = createCertificate()
let browser: Browser
t.before(async () => { browser = await launchBinding(certificate) })
t.teardown(async () => await browser.close())

const proven = '/auth/device 200'
const challenged = '/auth/device 403'
const refreshed = '/auth/refresh 200'

async function newContext (t: Test): Promise<BrowserContext> {
  const context = await browser.newContext()
  t.teardown(async () => await context.close())
  return context
}

/** A site, and a tab in which a user of the same name has logged in; the session is bound. */
async function bind (t: Test, name: string, options?: Parameters<typeof serve>[2]) {
  const site = await serve(t, certificate, options)
  const context = await newContext(t)
  const tab = await Tab.open(context, site.originOf(name))
  await tab.login(name)
  const calls = () => site.calls(name)
  calls()
  const session = async () => (await site.app.sessions.list(name))[0]
  return { ...site, context, tab, calls, session }
}

t.test('twelve refreshes, past the life of each proof, take one signature', async (t) => {
  const { clock, tab, calls, session } = await bind(t, 'twelve')
  t.match(await session(), { bound: 'dbsc', generation: 1 })
  for (let i = 0; i < 12; i++) {
    clock.pass(45 * second)
    t.equal(await tab.refresh(), 200)
    t.strictSame(calls(), [proven, refreshed])
  }
  t.match(await session(), { bound: 'dbsc', generation: 13 })
})

t.test('a challenge that is too old is followed by another', async (t) => {
  const { clock, tab, calls } = await bind(t, 'old')
  for (let i = 0; i < 4; i++) {
    clock.pass(25 * minute)
    t.equal(await tab.refresh(), 200)
    t.strictSame(calls(), [challenged, proven, refreshed])
  }
})

t.test('forty copies of all cookies get no token, and the owner goes on', async (t) => {
  const { app, context, tab, session, originOf } = await bind(t, 'copied')
  const events = observe(t)
  const { port, host } = new URL(originOf('copied'))
  const ask = async (path: string, cookie: string) =>
    await new Promise<string>((resolve, reject) => {
      const headers = { cookie, host }
      request({ port, path, method: 'POST', headers, rejectUnauthorized: false }, (response) => {
        let text = `${response.statusCode} `
        response.on('data', (data) => { text += data })
        response.on('end', () => resolve(text))
      }).on('error', reject).end()
    })
  const thief = await newContext(t)
  const thiefs = await Tab.open(thief, originOf('copied'))
  type Copy = Awaited<ReturnType<BrowserContext['cookies']>>
  const byBrowser = async (copy: Copy) => {
    await thief.clearCookies()
    await thief.addCookies(copy)
    t.equal(await thiefs.refresh(), 401)
  }
  const byNode = async (copy: Copy) => {
    const cookie = copy.map(({ name, value }) => `${name}=${value}`).join('; ')
    t.match(await ask('/auth/refresh', cookie), /^307 $/)
    t.match(await ask('/auth/refresh?proof', cookie), /^401 .*REFRESH_TOKEN_UNPROVEN/)
  }
  const copies: Copy[] = []
  for (let i = 0; i < 40; i++) {
    const copy = await context.cookies()
    copies.push(copy)
    await (i % 2 === 0 ? byBrowser(copy) : byNode(copy))
    t.equal(await tab.refresh(), 200)
  }
  await Promise.all(copies.map(byNode))
  for (const copy of copies.slice(-5)) await byBrowser(copy)
  t.equal(await tab.refresh(), 200)
  t.match(await session(), { bound: 'dbsc', generation: 42 })
  t.equal((await app.sessions.list('copied')).length, 1)
  t.strictSame(new Set(events().map(([name]) => name)), new Set(['refresh', 'unproven']))
})

t.test('tabs without the client, all at once, stay logged in', async (t) => {
  const { clock, context, tab, calls, app, originOf } = await bind(t, 'tabs')
  const others = await Promise.all(Array.from({ length: 4 }, async () =>
    await Tab.open(context, originOf('tabs'))))
  for (let round = 0; round < 5; round++) {
    clock.pass(minute)
    const statuses = await Promise.all([tab, ...others].map(async (tab) => await tab.refresh()))
    t.strictSame(statuses, [200, 200, 200, 200, 200])
    t.equal(calls()[0], proven)
  }
  t.match(await app.sessions.list('tabs'), [{ bound: 'dbsc' }])
})

t.test('tabs with the client refresh once, and stay logged in', async (t) => {
  const { clock, context, calls, originOf } = await bind(t, 'client')
  const tabs = await Promise.all(Array.from({ length: 5 }, async () =>
    await Tab.open(context, `${originOf('client')}/client`)))
  await Promise.all(tabs.map(async ({ page }) => await page.waitForFunction('window.ask')))
  const inAll = async (script: string) =>
    await Promise.all(tabs.map(async ({ page }) => await page.evaluate<unknown>(script)))
  t.strictSame(await inAll('auth.restore()'), Array(5).fill(true))
  calls()
  for (let round = 0; round < 3; round++) {
    clock.pass(31 * minute)
    await inAll(`passed += ${31 * minute}`)
    t.strictSame(await inAll("ask('/me')"), [200, 200, 200, 200, 200])
    t.strictSame(calls(), [challenged, proven, refreshed])
  }
  t.strictSame(await inAll('ended'), [0, 0, 0, 0, 0])
})

t.test('a page that refreshes at once after a form login is logged in', async (t) => {
  const site = await serve(t, certificate)
  const context = await newContext(t)
  const round = async (number: number) => {
    const name = `form${number}`
    const tab = await Tab.open(context, site.originOf(name))
    const next = `/at-once?${number % 14 * 10}`
    await tab.page.evaluate(`{
      const form = document.createElement('form')
      form.method = 'post'
      form.action = '/form'
      for (const [name, value] of Object.entries({ sub: '${name}', next: '${next}' })) {
        form.append(Object.assign(document.createElement('input'), { name, value }))
      }
      document.body.append(form)
      form.submit()
    }`)
    await tab.page.waitForURL(`**${next}`)
    t.equal(await tab.page.evaluate('refreshed'), 200, site.calls(name).join(', '))
    const list = async () => await site.app.sessions.list(name)
    await until('the session to be bound', async () => (await list())[0]?.bound === 'dbsc')
    t.equal(await tab.refresh(), 200)
    t.match(await list(), [{ bound: 'dbsc', generation: 3 }])
    await tab.page.close()
  }
  for (let first = 0; first < 50; first += 5) {
    await Promise.all([0, 1, 2, 3, 4].map(async (i) => await round(first + i)))
  }
})

t.test('a client that restores at once after a form login proves its key by itself', async (t) => {
  const site = await serve(t, certificate)
  const tab = await Tab.open(await newContext(t), site.originOf('proving'))
  await tab.page.evaluate(`{
    const form = document.createElement('form')
    form.method = 'post'
    form.action = '/form'
    for (const [name, value] of Object.entries({ sub: 'proving', next: '/client' })) {
      form.append(Object.assign(document.createElement('input'), { name, value }))
    }
    document.body.append(form)
    form.submit()
  }`)
  await tab.page.waitForURL('**/client')
  await tab.page.waitForFunction('window.ask')
  t.equal(await tab.page.evaluate('auth.restore()'), true, site.calls('proving').join(', '))
  const list = async () => await site.app.sessions.list('proving')
  await until('the session to be bound', async () => (await list())[0]?.bound === 'dbsc')

  // A proof that is spent is in the way of a new one: the server sends the browser back for it.
  const context = tab.page.context()
  const cookies = await context.cookies()
  const refresh = cookies.find(({ name }) => name.endsWith('refresh_token'))
  const spent = { ...refresh, name: '__Host-refresh_proof', value: 'spent' } as typeof cookies[0]
  await context.addCookies([spent])
  site.calls('proving')
  t.equal(await tab.page.evaluate('auth.refresh()'), true)
  const calls = site.calls('proving')
  t.equal(calls[0], '/auth/refresh 307')
  t.equal(calls.at(-1), '/auth/refresh?proof 200')
  t.strictSame(tab.endings, [])
})

t.test('a restart of the browser leaves the session bound', async (t) => {
  const site = await serve(t, certificate)
  const folder = temporaryFolder()
  const first = await launchWithProfile(certificate, folder)
  const tab = await Tab.open(first, site.originOf('restart'))
  await tab.login('restart')
  t.equal(await tab.refresh(), 200)
  await first.close()
  site.clock.pass(minute)
  site.calls('restart')
  const second = await launchWithProfile(certificate, folder)
  t.teardown(async () => await second.close())
  t.equal(await (await Tab.open(second, site.originOf('restart'))).refresh(), 200)
  const calls = site.calls('restart')
  t.strictSame(calls, [challenged, proven, refreshed], 'it has forgotten the challenge')
})

t.test('while Redis is stopped a refresh is 503, and goes on afterwards', async (t) => {
  const server = await redisFor(t)
  const { tab, calls, session } = await bind(t, 'redis', { redis: server.client() })
  await server.pause()
  t.equal(await tab.refresh(), 503)
  t.strictSame(calls(), [proven, '/auth/refresh 503'])
  await server.resume()
  t.equal(await tab.refresh(), 200)
  t.match(await session(), { bound: 'dbsc', generation: 2 })
  t.strictSame(tab.endings, [])
})

t.test('while the device route is broken a refresh is 503, and goes on afterwards', async (t) => {
  const site = await bind(t, 'broken')
  site.break(true)
  t.equal(await site.tab.refresh(), 503)
  t.strictSame(site.calls(), ['/auth/device 503', '/auth/refresh 503'])
  site.break(false)
  t.equal(await site.tab.refresh(), 200)
  t.match(await site.session(), { bound: 'dbsc', generation: 2 })
  t.strictSame(site.tab.endings, [])
})

t.test('after a logout the browser forgets its session when it asks next', async (t) => {
  const { tab, calls, session } = await bind(t, 'logout')
  t.equal(await tab.refresh('/auth/logout'), 204)
  t.equal(await session(), undefined)
  t.equal(await tab.refresh(), 401)
  t.strictSame(calls(), ['/auth/logout 204', proven, '/auth/refresh 401'])
  await until('the session to be forgotten', () => tab.endings.length > 0)
  t.strictSame(tab.endings, ['ServerRequested'])
  t.equal(await tab.refresh(), 401)
  t.strictSame(calls(), ['/auth/refresh 401'])
})

t.test('a login over a login is bound by itself', async (t) => {
  const { clock, tab, calls, app, session } = await bind(t, 'again')
  t.equal(await tab.refresh(), 200)
  await tab.login('again')
  t.equal((await app.sessions.list('again')).length, 1)
  calls()
  for (let i = 0; i < 3; i++) {
    clock.pass(minute)
    t.equal(await tab.refresh(), 200)
  }
  t.match(await session(), { bound: 'dbsc', generation: 4 })
  // Whether the browser asks for the session before as well is a matter of milliseconds.
  t.strictSame(tab.endings.filter((reason) => reason !== 'ServerRequested'), [])
})

t.test('a page of another origin of the site is held back as well', async (t) => {
  const site = await serve(t, certificate)
  const { port } = new URL(site.originOf('x'))
  const trustedOrigins = [`https://app.cross.test:${port}`]
  const trusted = await serve(t, certificate, { trustedOrigins })
  const tab = await Tab.open(await newContext(t), site.originOf('app.cross'))
  const api = trusted.originOf('api.cross')
  await tab.login('cross', `${api}/login`)
  trusted.calls('api.cross')
  for (let i = 0; i < 3; i++) {
    t.equal(await tab.refresh(`${api}/auth/refresh`), 200)
    const calls = trusted.calls('api.cross').filter((call) => !call.endsWith('204'))
    t.strictSame(calls, [proven, refreshed])
  }
})
