import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { hour } from './support/app'
import { access, refresh } from './support/cookie-mode'
import { createCertificate } from './support/dbsc/certificate'
import { launchBinding } from './support/dbsc/chromium'
import { launchKillable } from './support/browser/killable'
import { servePages } from './support/browser/pages'
import { observe } from './support/events'
import { temporaryFolder } from './support/servers/launch'
import { until } from './support/servers/until'

type Site = Awaited<ReturnType<typeof servePages>>

const certificate = createCertificate()
const launched = launchBinding(certificate)
t.teardown(async () => await (await launched).close())

/** Logs in by the form of the login page, to which the guard leads. */
async function login (page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/page`)
  await page.fill('[name=username]', 'ada')
  await page.fill('[name=password]', 'lovelace')
  await page.click('button')
  await page.waitForURL('**/page')
}

/** Serves pages, and opens one in a browser that has logged in. */
async function enter (t: Test) {
  const site = await servePages(t, certificate)
  const context = await (await launched).newContext()
  t.teardown(async () => await context.close())
  const page = await context.newPage()
  const origin = site.originOf('app.site')
  await login(page, origin)
  site.calls()
  return { site, context, page, origin }
}

const refreshOf = async (context: BrowserContext): Promise<string | undefined> =>
  (await context.cookies()).find(({ name }) => name === refresh)?.value

// In the page, as its markup would do it: there is no code of the plugin's.
const pictures = `Promise.all([1, 2, 3, 4, 5, 6].map((i) => new Promise((resolve) => {
  const image = document.body.appendChild(new Image())
  image.onload = () => resolve(image.naturalWidth)
  image.onerror = () => resolve('refused')
  image.src = '/picture?' + i + Math.random()
})))`
const listen = `new Promise((resolve) => {
  const source = new EventSource('/events')
  source.onmessage = ({ data }) => { source.close(); resolve(data) }
  source.onerror = () => { source.close(); resolve('refused') }
})`
const connect = (url: string): string => `new Promise((resolve) => {
  const socket = new WebSocket('${url}')
  socket.onmessage = ({ data }) => { socket.close(); resolve(data) }
  socket.onerror = () => resolve('refused')
})`

interface Entered {
  site: Site
  context: BrowserContext
  page: Page
  origin: string
}

interface Deed {
  run: (t: Test, given: Entered) => Promise<void>
  /** How many answers are to bring cookies. */
  renewed: number
}

/** What a user does on a page. */
const deeds: Record<string, Deed> = {
  'a page': {
    run: async (t, { page }) => {
      await page.reload()
      t.equal(await page.textContent('h1'), 'Hello')
    },
    renewed: 1
  },
  'a form': {
    run: async (t, { page, site }) => {
      await page.fill('[name=text]', 'a note')
      await page.click('button')
      await until('the note', () => site.notes.includes('a note'))
      await page.waitForURL('**/page')
      t.equal(await page.textContent('h1'), 'Hello')
    },
    renewed: 1
  },
  'six images at once': {
    run: async (t, { page, site }) => {
      site.gather(6)
      t.strictSame(await page.evaluate(pictures), [2, 2, 2, 2, 2, 2])
    },
    renewed: 6
  },
  'an EventSource': {
    run: async (t, { page }) => { t.equal(await page.evaluate(listen), '"hello"') },
    renewed: 1
  },
  'a WebSocket': {
    run: async (t, { page }) => { t.equal(await page.evaluate(connect('/chat')), 'Hello ada') },
    // An answer to a handshake has no headers of its own.
    renewed: 0
  },
  'a download': {
    run: async (t, { page }) => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('a')])
      t.equal(download.suggestedFilename(), 'report.csv')
      t.equal(await download.failure(), null)
    },
    renewed: 1
  },
  'five tabs at once': {
    run: async (t, { context, site, origin }) => {
      const tabs = await Promise.all([1, 2, 3, 4, 5].map(async () => await context.newPage()))
      site.gather(5)
      await Promise.all(tabs.map(async (tab) => await tab.goto(`${origin}/page`)))
      for (const tab of tabs) {
        t.equal(await tab.textContent('h1'), 'Hello')
        await tab.close()
      }
    },
    renewed: 5
  },
  'a link from another site': {
    run: async (t, { context, site, origin }) => {
      const tab = await context.newPage()
      await tab.goto(`${site.originOf('elsewhere')}/other?to=${origin}/page`)
      await tab.click('a')
      await tab.waitForURL(`${origin}/page`)
      t.equal(await tab.textContent('h1'), 'Hello')
      await tab.close()
    },
    renewed: 1
  }
}

t.test('all that a page does works once the access cookie has run out', async (t) => {
  const seen = observe(t)
  const given = await enter(t)
  const { site, context, page, origin } = given
  for (const [what, { run, renewed }] of Object.entries(deeds)) {
    // Later than its lifetime, and gone from the browser, as its Max-Age has it.
    site.expire()
    await context.clearCookies({ name: access })
    await run(t, given)
    const calls = site.calls()
    await until(`${renewed} renewals by ${what}`, () => {
      calls.push(...site.calls())
      return calls.filter((call) => call.renewed).length === renewed
    })
    t.strictSame(calls.filter(({ status }) => status >= 400), [], what)
    await page.goto(`${origin}/page`)
    site.calls()
  }
  t.equal((await site.app.sessions.list('ada')).length, 1)
  t.strictSame(seen().filter(([name]) => name === 'reuse' || name === 'repeat'), [])
  t.equal(await page.evaluate('document.cookie'), '')
  t.match(await context.cookies(origin), [access, refresh].map((name) =>
    ({ name, httpOnly: true, secure: true, sameSite: 'Lax', path: '/', expires: Number })))
})

t.test('pages that were left before they answered cost nothing, however late', async (t) => {
  const { site, context, page, origin } = await enter(t)
  const before = await refreshOf(context)
  for (let left = 0; left < 3; left++) {
    site.expire()
    const going = page.goto(`${origin}/slow`).catch(() => {}) // It is left.
    await until('the page to be let in', () => site.slow() === left + 1)
    await page.goto('about:blank')
    await going
  }
  site.release()
  t.equal(await refreshOf(context), before, 'the browser has been given nothing')
  site.clock.pass(hour)
  await page.goto(`${origin}/page`)
  t.equal(await page.textContent('h1'), 'Hello')
  t.not(await refreshOf(context), before)
  t.match(await site.app.sessions.list('ada'), [{ generation: 1 }])
  site.expire()
  await page.reload()
  t.equal(await page.textContent('h1'), 'Hello')
  t.match(await site.app.sessions.list('ada'), [{ generation: 2 }])
})

t.test('a browser that is killed right after a renewal comes back logged in', async (t) => {
  const site = await servePages(t, certificate)
  const origin = site.originOf('app.site')
  const folder = temporaryFolder()
  const first = await launchKillable(certificate, folder)
  t.teardown(first.kill)
  await login(await first.context.newPage(), origin)
  const onDisk = await refreshOf(first.context)
  await first.quit()

  const second = await launchKillable(certificate, folder)
  t.teardown(second.kill)
  t.equal(await refreshOf(second.context), onDisk)
  site.expire()
  const page = await second.context.newPage()
  await page.goto(`${origin}/page`)
  t.equal(await page.textContent('h1'), 'Hello')
  t.not(await refreshOf(second.context), onDisk, 'renewed')
  await second.kill()

  const third = await launchKillable(certificate, folder)
  t.teardown(third.kill)
  t.equal(await refreshOf(third.context), onDisk, 'the renewal was lost with the browser')
  site.clock.pass(24 * hour)
  const again = await third.context.newPage()
  await again.goto(`${origin}/page`)
  t.equal(await again.textContent('h1'), 'Hello')
  t.equal((await site.app.sessions.list('ada')).length, 1)
})

// All that a page of another host can send with its visitor's cookies.
const post = (origin: string): string => `new Promise((resolve) => {
  const frame = Object.assign(document.createElement('iframe'), { name: 'frame' })
  const form = document.createElement('form')
  form.innerHTML = '<input name="text" value="forged">'
  Object.assign(form, { method: 'POST', action: '${origin}/notes', target: 'frame' })
  document.body.append(frame, form)
  frame.onload = () => { frame.remove(); form.remove(); resolve() }
  form.submit()
}).then(() => fetch('${origin}/notes', { method: 'POST', credentials: 'include', mode: 'no-cors' }))
  .then(() => {})`
const look = (origin: string): string => `Promise.all([
  fetch('${origin}/page', { credentials: 'include' }).then(() => 'read', () => 'unreadable'),
  new Promise((resolve) => {
    const image = new Image()
    image.onload = () => {
      const context = document.createElement('canvas').getContext('2d')
      context.drawImage(image, 0, 0)
      try { context.getImageData(0, 0, 1, 1); resolve('read') } catch { resolve('unreadable') }
    }
    image.onerror = () => resolve('refused')
    image.src = '${origin}/picture'
  })
])`

for (const { from, host, site: fetchSite, posts, picture } of [
  // SameSite lets the cookies go along: the origin alone is judged.
  { from: 'a sibling', host: 'www.site', site: 'same-site', posts: 403, picture: 'unreadable' },
  // The cookies stay at home.
  { from: 'a foreign site', host: 'evil', site: 'cross-site', posts: 303, picture: 'refused' }
]) {
  t.test(`a page of ${from} can change nothing, and read nothing`, async (t) => {
    const { site, context, page, origin } = await enter(t)
    const attacker = await context.newPage()
    await attacker.goto(`${site.originOf(host)}/other`)
    site.calls()
    for (const expire of [() => {}, site.expire]) {
      expire()
      await attacker.evaluate(post(origin))
      const calls = site.calls().filter(({ what }) => what === 'POST /notes')
      t.strictSame([...new Set(calls.map(({ site }) => site))], [fetchSite])
      t.strictSame(calls.map(({ status, renewed }) => ({ status, renewed })), [
        { status: posts, renewed: false }, { status: posts === 403 ? 403 : 401, renewed: false }
      ])
      t.strictSame(await attacker.evaluate(look(origin)), ['unreadable', picture])
      const url = `${origin.replace('https', 'wss')}/chat`
      t.equal(await attacker.evaluate(connect(url)), 'refused')
    }
    t.strictSame(site.notes, [])
    await page.reload()
    t.equal(await page.textContent('h1'), 'Hello', 'and nobody is logged out by it')
  })
}
