import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { access } from './support/cookie-mode'
import { createCertificate } from './support/dbsc/certificate'
import { launchBinding } from './support/dbsc/chromium'
import { html, markup, servePages } from './support/browser/pages'
import { apply } from './support/recipe'

const certificate = createCertificate()
const launched = launchBinding(certificate)
t.teardown(async () => await (await launched).close())

const scriptOf = (name: string): string => {
  const folder = dirname(require.resolve(`${name}/package.json`))
  return readFileSync(join(folder, 'dist/htmx.js'), 'utf8')
}

/** Serves the page of docs/pages.md with a version of htmx, and opens it logged in. */
async function enter (t: Test, name: string) {
  const todos: string[] = []
  const site = await servePages(t, certificate, {
    extend: async (app) => {
      app.get('/htmx.js', async (_request, reply) =>
        await reply.type('text/javascript').send(scriptOf(name)))
      app.get('/todo', { onRequest: app.authenticate }, async (_request, reply) =>
        await reply.type('text/html').send(html(markup('hx-get'))))
      const listOf = (sub: string) => `<li>of ${sub}: ${todos.join()}</li>`
      const add = (_sub: string, todo: string) => { todos.push(todo) }
      await apply('docs/pages.md', "fastify.get('/todos'", app, { listOf, add })
    }
  })
  const context = await (await launched).newContext()
  t.teardown(async () => await context.close())
  const page = await context.newPage()
  const origin = site.originOf('app.site')
  await page.goto(`${origin}/todo`)
  await login(page)
  await shows(page, 'of ada: ')
  site.calls()
  return { site, context, page, origin }
}

async function login (page: Page): Promise<void> {
  await page.waitForURL('**/login?to=%2Ftodo')
  await page.fill('[name=username]', 'ada')
  await page.fill('[name=password]', 'lovelace')
  await page.click('button')
  await page.waitForURL('**/todo')
}

const shows = async (page: Page, text: string): Promise<void> =>
  await page.locator('#todos li', { hasText: new RegExp(`^${text}$`) }).waitFor()

async function add (page: Page, todo: string): Promise<void> {
  await page.fill('[name=text]', todo)
  await page.click('button')
}

for (const [version, name] of [['4', 'htmx.org'], ['2', 'htmx2']] as const) {
  const { version: installed } = require(`${name}/package.json`)
  t.equal(installed.split('.')[0], version)

  t.test(`fragments of htmx ${version} are loaded and posted, and renewed`, async (t) => {
    const { site, context, page } = await enter(t, name)
    const expire = async (): Promise<void> => {
      site.expire()
      await context.clearCookies({ name: access }) // as its Max-Age has it
    }
    const called = (what: string, renewed: boolean) =>
      [{ what, status: 200, site: 'same-origin', renewed }]
    await add(page, 'bread')
    await shows(page, 'of ada: bread')
    t.strictSame(site.calls(), called('POST /todos', false))
    await expire()
    await add(page, 'butter')
    await shows(page, 'of ada: bread,butter')
    t.strictSame(site.calls(), called('POST /todos', true))
    await expire()
    await page.evaluate("document.getElementById('todos').replaceChildren()")
    await page.evaluate("void htmx.ajax('GET', '/todos', '#todos')")
    await shows(page, 'of ada: bread,butter')
    t.strictSame(site.calls(), called('GET /todos', true))
    t.equal((await site.app.sessions.list('ada')).length, 1)
  })

  t.test(`a refused fragment of htmx ${version} leads the page to the login and back`, async (t) => {
    const { site, context, page, origin } = await enter(t, name)
    const ways = [
      async () => { await logOut(await context.newPage(), origin) },
      async () => { await site.app.sessions.revokeAll('ada') }
    ]
    for (const endSession of ways) {
      await endSession()
      site.calls()
      await add(page, 'lost')
      await login(page)
      await shows(page, 'of ada: ')
      t.match(site.calls()[0], { what: 'POST /todos', status: 401, renewed: false })
    }
  })
}

async function logOut (tab: Awaited<ReturnType<BrowserContext['newPage']>>, origin: string) {
  await tab.goto(`${origin}/page`)
  await tab.evaluate("fetch('/logout', { method: 'POST', redirect: 'manual' })")
  await tab.close()
}
