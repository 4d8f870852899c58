import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { minute } from './support/app'
import { launch, openTab, until } from './support/browser/chromium'
import { serve } from './support/browser/site'
import { apply, run, snippet } from './support/recipe'
import { redisFor } from './support/servers/redis'
import { until as eventually } from './support/servers/until'

const newProfile = launch(t)
const page = 'docs/recipes.md'
const reportOf = (sub: string): string => `name\n${sub}\n`

type Extend = NonNullable<NonNullable<Parameters<typeof serve>[1]>['extend']>

/** Opens a page of a site, with functions of docs/recipes.md. */
async function open (t: Test, origin: string, functions: string[] = []): Promise<Page> {
  const tab = await openTab(await newProfile(t), origin)
  for (const name of functions) {
    await tab.addScriptTag({ content: snippet(page, `function ${name} (`).code })
  }
  return tab
}

const login = "auth.login('/login', { sub: 'ada' }).then(({ status }) => status)"

/** Resolves with the text of the file that a page saves. */
async function saved (tab: Page, code: string): Promise<{ name: string, text: string }> {
  const [file] = await Promise.all([tab.waitForEvent('download'), tab.evaluate(code)])
  return { name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8') }
}

t.test('a page without cookie mode shows an image, and saves a file, from behind the guard', async (t) => {
  const extend: Extend = async (app) => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>'
    app.get('/picture', { onRequest: app.authenticate }, async (_request, reply) =>
      await reply.type('image/svg+xml').send(svg))
    app.get('/report.csv', { onRequest: app.authenticate }, async ({ user }) =>
      reportOf((user as { sub: string }).sub))
  }
  const tab = await open(t, (await serve(t, { extend })).origin, ['showImage', 'download'])
  const show = `(async () => {
    const image = new Image()
    await showImage(image, '/picture')
    const isKept = image.src !== '' && await fetch(image.src).then(() => true, () => false)
    return { width: image.naturalWidth, isKept }
  })()`
  t.strictSame(await tab.evaluate(show), { width: 0, isKept: false })
  await t.rejects(tab.evaluate("download('/report.csv', 'mine.csv')"), /401/)

  t.equal(await tab.evaluate(login), 200)
  t.strictSame(await tab.evaluate(show), { width: 7, isKept: false })
  t.strictSame(await saved(tab, "download('/report.csv', 'mine.csv')"), {
    name: 'mine.csv', text: reportOf('ada')
  })
})

t.test('a page saves a large file by a URL that is good once', async (t) => {
  const redis = (await redisFor(t)).client()
  const extend: Extend = async (app) => await apply(page, 'randomBytes', app, { redis, reportOf })
  const { app, origin } = await serve(t, { extend })
  t.equal((await app.inject({ method: 'POST', url: '/report' })).statusCode, 401)
  const tab = await open(t, origin)
  await tab.evaluate(login)

  const save = `(async () => { ${snippet(page, 'location.assign(url)').code} })()`
  t.strictSame(await saved(tab, save), { name: 'report.csv', text: reportOf('ada') })
  t.equal(tab.url(), `${origin}/`, 'the page has stayed')
  t.strictSame(await redis.keys('*'), [])

  const { url } = await tab.evaluate<{ url: string }>(
    "auth.fetch('/report', { method: 'POST' }).then((response) => response.json())")
  const [key = ''] = await redis.keys('report:*')
  t.ok(await redis.ttl(key) > 0)
  t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 404, 'a HEAD spends nothing')
  t.match(await app.inject(url), { statusCode: 200, headers: { 'cache-control': 'no-store' } })
  t.equal((await app.inject(url)).statusCode, 404)
})

t.test('a page of another origin listens to events until its session ends', async (t) => {
  const readers = new Set<(news: string) => void>()
  const follow = (_sub: string, tell: (news: string) => void) => {
    readers.add(tell)
    return () => { readers.delete(tell) }
  }
  const extend: Extend = async (app) => {
    const whenEnded = await run('docs/pages.md', 'function whenEnded', {}, 'whenEnded', (code) =>
      code.replace(', 1000)', ', 20)'))
    await apply('docs/pages.md', "fastify.get('/events'", app, { follow, whenEnded }, (code) =>
      code.replace("{ 'content-type'", "{ ...reply.getHeaders(), 'content-type'"))
  }
  const site = await serve(t)
  const trustedOrigins = [site.origin]
  const api = await serve(t, { trustedOrigins, cors: site.origin, revocation: 'push', extend })
  const tab = await open(t, site.origin, ['listen'])
  const say = async (news: string) => {
    await eventually('a reader', () => readers.size === 1)
    for (const tell of readers) tell(news)
    await until(tab, `heard.at(-1) === ${JSON.stringify(news)}`)
  }
  const start = `${login}.then(() => {
    window.heard = []
    window.stop = new AbortController()
    window.left = false
    listen('/events', (news) => heard.push(news), stop.signal).then(() => { window.left = true })
  })`
  await tab.evaluate(`window.auth = createClient({
    prefix: '${api.origin}/auth', onSessionEnd: () => window.ended++
  })`)
  await tab.evaluate(start)
  await say('one')
  await say('two\n\nand its end')

  api.clock.pass(31 * minute)
  await eventually('the end of the stream', () => readers.size === 0)
  await say('three')
  t.match(await api.app.sessions.list('ada'), [{ generation: 2 }], 'with a fresh token')

  await api.app.sessions.revokeAll('ada')
  await until(tab, 'left')
  t.equal(await tab.evaluate('ended'), 1)

  await tab.evaluate(start)
  await say('four')
  await tab.evaluate('stop.abort()')
  await until(tab, 'left')
  await eventually('the end of the stream', () => readers.size === 0)
})
