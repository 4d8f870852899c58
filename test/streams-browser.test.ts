import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { access } from './support/cookie-mode'
import { createCertificate } from './support/dbsc/certificate'
import { launchBinding } from './support/dbsc/chromium'
import { servePages } from './support/browser/pages'
import { until } from './support/servers/until'

const certificate = createCertificate()
const launched = launchBinding(certificate)
t.teardown(async () => await (await launched).close())
// Both at once: most of their time they wait.
t.jobs = 2

/** Notes in `seen` how the streams and sockets of a page begin and end. */
const watch = `
  const seen = window.seen = []
  const { EventSource, WebSocket } = window
  window.EventSource = class extends EventSource {
    constructor (...args) {
      super(...args)
      this.addEventListener('open', () => { seen.push('stream open') })
      this.addEventListener('error', () => {
        seen.push(this.readyState === EventSource.CLOSED ? 'stream refused' : 'stream ended')
      })
    }
  }
  window.WebSocket = class extends WebSocket {
    constructor (...args) {
      super(...args)
      this.addEventListener('open', () => { seen.push('socket open') })
      this.addEventListener('close', ({ code }) => { seen.push('socket ' + code) })
    }
  }`

/** Opens a profile whose pages note what becomes of their streams. */
async function newProfile (t: Test): Promise<BrowserContext> {
  const context = await (await launched).newContext()
  t.teardown(async () => await context.close())
  await context.addInitScript(watch)
  return context
}

/** Waits until all of this has been seen in a page, in any order, and nothing else. */
async function sees (t: Test, page: Page, ...all: string[]): Promise<void> {
  let seen: string[] = []
  await until(() => `${all.join()}; seen: ${seen.join()}`, async () => {
    seen = await page.evaluate<string[]>('seen')
    return seen.length >= all.length
  })
  t.strictSame([...seen].sort(), [...all].sort())
  await page.evaluate('void seen.splice(0)')
}

async function login (page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.fill('[name=username]', 'ada')
  await page.fill('[name=password]', 'lovelace')
  await page.click('button')
  await page.waitForURL(url)
}

t.test('the stream and the socket of docs/pages.md come back renewed, until the logout', async (t) => {
  const site = await servePages(t, certificate)
  const origin = site.originOf('app.site')
  const context = await newProfile(t)
  const page = await context.newPage()
  const said: string[] = []
  page.on('console', (message) => { said.push(message.text()) })
  const says = async (text: string): Promise<void> => {
    await until(() => `${text}; said: ${said.join()}`, () => said.includes(text))
    said.length = 0
  }
  const cookies = async (): Promise<string[]> =>
    (await context.cookies()).map(({ name }) => name).filter((name) => name === access)

  await login(page, `${origin}/live`)
  await sees(t, page, 'stream open', 'socket open')
  await says('Hello ada')
  for (let i = 0; i < 2; i++) {
    site.expire()
    await context.clearCookies({ name: access }) // as its Max-Age has it
    await sees(t, page, 'stream ended', 'socket 4401', 'socket open', 'stream open')
    await says('Hello ada')
    t.strictSame(await cookies(), [access], 'the stream has brought a new access cookie')
    site.tell(`news ${i}`)
    await says(`"news ${i}"`)
  }
  t.equal((await site.app.sessions.list('ada')).length, 1)

  site.calls()
  const tab = await context.newPage()
  await tab.goto(`${origin}/page`)
  await tab.evaluate(`
    const form = document.createElement('form')
    Object.assign(form, { method: 'POST', action: '/logout' })
    document.body.append(form)
    form.submit()`)
  await sees(t, page, 'stream ended', 'socket 4401', 'socket 1006', 'stream refused')
  const refused = site.calls().filter(({ status }) => status === 401).map(({ what }) => what)
  t.strictSame(refused.sort(), ['GET /chat', 'GET /events'], 'each once')
  t.equal(site.readers.size, 0)
})

/** Runs examples/pages as its reader would; resolves with its address. */
async function runExample (t: Test, env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ['examples/pages/server.mjs'], {
    env: { ...process.env, ...env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [line] = await once(createInterface(child.stdout), 'line') as [string]
  return `http://localhost:${new URL(line).port}`
}

t.test('those of examples/pages as well, until the device is logged out from the list', async (t) => {
  const origin = await runExample(t, { ACCESS_TOKEN_LIFETIME: '5s' })
  const context = await newProfile(t)
  const page = await context.newPage()
  await login(page, `${origin}/`)
  await page.locator('#chat', { hasText: 'Connected as ada' }).waitFor()
  const have = async (what: string, ...events: string[]): Promise<void> => {
    await until(what, async () => {
      const seen = await page.evaluate<string[]>('seen')
      return events.every((event) => seen.includes(event))
    })
    await page.evaluate('void seen.splice(0)')
  }
  await have('both', 'stream open', 'socket open')
  // The token that opened them expires, if need be several times.
  await have('both again', 'stream ended', 'socket 4401', 'socket open', 'stream open')
  const tab = await context.newPage()
  await tab.goto(`${origin}/devices`)
  await tab.click('button:text("This one: log out")')
  await have('the end of both', 'socket 1006', 'stream refused')
  await page.waitForFunction("document.getElementById('chat').textContent === ''")
  t.strictSame(await page.evaluate('seen'), [], 'which is the end')
})
