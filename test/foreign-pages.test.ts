import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runInThisContext } from 'node:vm'
import Fastify from 'fastify'
import t from 'tap'
import { launch, openTab } from './support/browser/chromium'
import { serve } from './support/browser/site'

const newProfile = launch(t)

// All that a page can send with the victim's cookies: by script, and by a form in a frame.
const attack = (target: string) => `(async () => {
  const call = (verb) => fetch('${target}/auth/' + verb, { method: 'POST', credentials: 'include', mode: 'no-cors' })
  await call('refresh')
  await call('logout')
  for (const verb of ['refresh', 'logout']) {
    const frame = Object.assign(document.createElement('iframe'), { name: verb })
    const form = Object.assign(document.createElement('form'), { method: 'POST', action: '${target}/auth/' + verb, target: verb })
    document.body.append(frame, form)
    const loaded = new Promise((resolve) => { frame.onload = resolve })
    form.submit()
    await loaded
  }
})()`

const attacks = [
  {
    from: 'another port',
    victim: 'localhost',
    attacker: 'localhost',
    site: 'same-site',
    statuses: [403, 403, 403, 403]
  },
  {
    from: 'a sibling subdomain',
    victim: 'app.site.localhost',
    attacker: 'evil.site.localhost',
    site: 'same-site',
    statuses: [403, 403, 403, 403]
  },
  // SameSite=Strict keeps the cookie at home, so there is nothing to rotate; a logout is refused
  // all the same.
  {
    from: 'a foreign origin',
    victim: 'localhost',
    attacker: '127.0.0.1',
    site: 'cross-site',
    statuses: [401, 403, 401, 403]
  }
]

for (const { from, victim, attacker, site, statuses } of attacks) {
  t.test(`a page of ${from} can neither refresh nor log out`, async (t) => {
    const { port, calls, app } = await serve(t, {
      refreshToken: { cookie: { secure: victim === 'localhost' } }
    })
    const evil = await serve(t)
    const context = await newProfile(t)
    const url = `http://${victim}:${port}`
    const tab = await openTab(context, url)
    await tab.evaluate("auth.login('/login', { sub: 'ada' })")

    const page = await openTab(context, `http://${attacker}:${evil.port}`)
    calls.length = 0
    await page.evaluate(attack(url))
    t.strictSame(calls.map(({ status }) => status), statuses)
    t.strictSame([...new Set(calls.map(({ site }) => site))], [site])

    t.match(
      await app.sessions.list('ada'),
      [{ generation: 1 }],
      'nothing was rotated, nothing ended'
    )
    await tab.reload()
    t.equal(
      await tab.evaluate("fetch('/auth/refresh', { method: 'POST' }).then(({ status }) => status)"),
      200,
      'the cookie is still there'
    )
  })
}

t.test('the hook of docs/threat-model.md lets in what comes from pages of one\'s own', async (t) => {
  const page = readFileSync(join(__dirname, '../docs/threat-model.md'), 'utf8')
  const [source = ''] = /const fromOwnPages = [^]*?\n}\n/.exec(page) ?? []
  const fromOwnPages = runInThisContext(`(() => { ${source} return fromOwnPages })()`) as never
  const app = Fastify()
  t.teardown(async () => await app.close())
  app.post('/logout', { onRequest: fromOwnPages }, async () => 'out')
  const post = async (headers: Record<string, string>) =>
    (await app.inject({ method: 'POST', url: '/logout', headers })).statusCode
  const origin = 'https://app.example.com'
  const host = 'app.example.com'
  const own = [
    {}, { origin }, { 'sec-fetch-site': 'same-origin', origin: 'null' }, { 'sec-fetch-site': 'none' }
  ]
  for (const headers of own) t.equal(await post({ host, ...headers } as never), 200)
  const foreign = [
    { origin: 'https://evil.example' }, { origin: 'null' }, { origin: `${origin}:8443` },
    { 'sec-fetch-site': 'same-site', origin }, { 'sec-fetch-site': 'cross-site' }
  ]
  for (const headers of foreign) t.equal(await post({ host, ...headers } as never), 403)
})
