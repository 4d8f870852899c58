import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { toIdentifier } from '../../lib/binding/dbsc/session-identifier'
import { age } from '../support/age'
import { minute } from '../support/app'
import { BindingBrowser } from '../support/dbsc/browser'
import { Device } from '../support/dbsc/device'
import { observe } from '../support/events'
import { clusterFor } from '../support/servers/cluster'
import { moveSlot } from '../support/servers/move-slot'
import { redisFor } from '../support/servers/redis'
import { appFor } from './app'
import { soak } from './soak'

type Inject = FastifyInstance['inject']

const refreshToken = { bindings: ['dbsc' as const] }
const unproven = { statusCode: 401, body: /REFRESH_TOKEN_UNPROVEN/ }

/** A browser whose requests go to these nodes in turn. */
function roaming (...nodes: FastifyInstance[]): BindingBrowser {
  let turn = 0
  const inject = (async (request: object) => {
    // Of two nodes the same one would answer all proofs.
    turn += 1 + Math.floor(turn / nodes.length) % 2
    return await nodes[turn % nodes.length]?.inject(request)
  }) as unknown as Inject
  return new BindingBrowser({ inject } as FastifyInstance)
}

t.test('whatever is sent to the device route: no 5xx, nothing bound, no byte changed', {
  timeout: 120_000 * soak
}, async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  const app = await appFor(t, { redis: server.client(), refreshToken, revocation: 'push' })
  const [bound, fresh] = [new BindingBrowser(app), new BindingBrowser(app)]
  const login = async (browser: BindingBrowser, sub: string) => await browser.post(`/login/${sub}`)
  await login(bound, 'ada')
  await bound.register()
  await bound.refresh()
  await bound.prove()
  await login(fresh, 'eve')
  const cookieOf = ({ cookies }: BindingBrowser) =>
    [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const challengeIn = (header: string) => /"([\w.-]{40,})"/.exec(header)?.[1] ?? ''
  const registration = challengeIn(fresh.offer ?? '')
  const id = bound.session?.session_identifier ?? ''
  const asked = await bound.post('/auth/device', { 'sec-secure-session-id': id })
  const challenge = challengeIn(String(asked.headers['secure-session-challenge']))
  const thief = new Device()
  const [sid = ''] = id.split('.')

  const printable = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
  })
  // Its own response to its own login's challenge would bind a session, as it should.
  const forgeries = [
    '', '""', '"', 'a.b.c', '..', 'a'.repeat(5000), challenge, registration,
    thief.prove(challenge), thief.prove(registration), thief.register(challenge),
    `${thief.register(registration).slice(0, -6)}AAAAAA`,
    thief.sign({ alg: 'none', jwk: thief.jwk }, { jti: registration }),
    thief.sign({ alg: 'HS256', jwk: thief.jwk }, { jti: registration }),
    thief.sign({ typ: 'JWT', jwk: thief.jwk }, { jti: registration }),
    thief.sign({ jwk: { ...thief.jwk, d: 'AA' } }, { jti: registration }),
    thief.sign({ jwk: bound.device.jwk }, { jti: registration }),
    bound.device.register(challenge)
  ]
  const response = fc.oneof(
    printable,
    { weight: 2, arbitrary: fc.constantFrom(...forgeries) },
    fc.jsonValue().map((jwk) => thief.sign({ jwk }, { jti: registration })),
    fc.jsonValue().map((jti) => thief.sign({ jwk: thief.jwk }, { jti })),
    fc.object().map((header) => thief.sign({ jwk: null, ...header }, { jti: registration }))
  )
  const identifier = fc.oneof(
    printable,
    fc.constantFrom(id, `"${id}"`, id.slice(1), `${id}.`, `${sid}.${'A'.repeat(342)}`, `${sid}..`),
    fc.constant(toIdentifier({ sid, jwk: thief.jwk }))
  )
  const cookie = fc.oneof(
    printable,
    fc.constantFrom(cookieOf(bound), cookieOf(fresh), `${cookieOf(bound)}; ${cookieOf(fresh)}`),
    printable.map((text) => `__Host-refresh_token=${text}; __Host-refresh_proof=${text}`)
  )
  const headers = fc.record({
    'sec-secure-session-id': identifier,
    'secure-session-response': response,
    'secure-session-skipped': printable,
    cookie,
    'content-type': fc.constantFrom('application/json', 'text/plain', 'nonsense', ''),
    origin: fc.constantFrom('null', 'http://localhost', 'https://evil.example', '://'),
    'sec-fetch-site': fc.constantFrom('cross-site', 'same-site', 'same-origin', 'none')
  }, { requiredKeys: [] })
  const body = fc.option(fc.oneof(printable, fc.json()), { nil: undefined })
  const method = fc.constantFrom('POST', 'POST', 'POST', 'POST', 'GET', 'PUT', 'OPTIONS')

  const state = async () => {
    const keys = (await admin.keys('*')).sort()
    const all = await Promise.all(keys.map(async (key) =>
      [key, await admin.dump(key), await admin.pexpiretime(key)]))
    return JSON.stringify(all)
  }
  const before = await state()
  const attempt = async (method: string, headers: Record<string, string>, payload?: string) => {
    const { statusCode, cookies } = await app.inject({
      method: method as 'POST', url: '/auth/device', headers, payload
    })
    if (statusCode >= 500) throw new Error(String(statusCode))
    if (cookies.some(({ name }) => name !== '__Host-refresh_proof')) throw new Error('a cookie')
    if (await state() !== before) throw new Error('state has changed')
  }
  // Each forgery with each cookie comes first, in a request that nothing else is wrong with.
  for (const forgery of forgeries) {
    for (const browser of [bound, fresh]) {
      const sent = { cookie: cookieOf(browser), 'secure-session-response': forgery }
      await attempt('POST', sent)
      await attempt('POST', { ...sent, 'sec-secure-session-id': id })
    }
  }
  const numRuns = 3000 * soak
  const details = await fc.check(fc.asyncProperty(method, headers, body, attempt), { numRuns })
  const why = () => `seed ${details.seed}: ${JSON.stringify(details.counterexample)}`
  t.notOk(details.failed, details.failed ? `${why()} ${String(details.errorInstance)}` : '')
  t.match(await app.sessions.list('eve'), [{ bound: null }])
  t.equal((await fresh.register()).statusCode, 200, 'the owner can still bind his session')
  t.equal((await bound.refresh()).statusCode, 200)
})

t.test('on a cluster, a bound session is bound on every node, also while its slot moves', {
  timeout: 60_000 * soak
}, async (t) => {
  const cluster = await clusterFor(t)
  const seen = observe(t)
  const node = async () =>
    await appFor(t, { redis: cluster.client(), storeTimeout: 1.5, refreshToken })
  const [one, two] = [await node(), await node()]
  const browsers = Array.from({ length: 12 }, () => roaming(one, two))
  for (const [i, browser] of browsers.entries()) {
    await browser.post(`/login/user-${i}`)
    t.equal((await browser.register()).statusCode, 200)
  }
  const round = async () => {
    for (const browser of browsers) {
      t.match(await browser.thief().refresh(), unproven)
      t.equal((await browser.refresh()).statusCode, 200)
    }
  }
  await round()
  for (const server of cluster.nodes) await age(cluster.admin(server), minute)
  const keys = await Promise.all(cluster.nodes.map(async (server) =>
    await cluster.admin(server).keys('*')))
  const [key = ''] = keys.flat()
  const from = await cluster.masterOf(key)
  const to = cluster.nodes.find((server) => server !== from) ?? from
  await moveSlot(cluster, key, to, round)
  await round()
  for (const [i] of browsers.entries()) {
    t.match(await two.sessions.list(`user-${i}`), [{ bound: 'dbsc' }])
  }
  const names = new Set(seen().map(([name]) => name))
  t.strictSame(names, new Set(['login', 'bind', 'unproven', 'refresh']))
})
