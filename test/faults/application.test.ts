import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { secret } from '../support/app'
import { observe } from '../support/events'
import { proxyFor } from '../support/servers/proxy'
import { redisFor } from '../support/servers/redis'
import { until } from '../support/servers/until'
import { appFor } from './app'
import { percentile } from './random'
import { into, over, User } from './user'

type Test = InstanceType<typeof import('tap').Test>

/** Starts a node of an application in a process of its own. */
async function nodeFor (t: Test, path: string) {
  const child = fork(
    join(__dirname, '../support/node.ts'),
    [path, JSON.stringify({ secret, storeTimeout: 10 })],
    { execArgv: process.execArgv }
  )
  t.teardown(() => { child.kill('SIGKILL') })
  const [origin] = await once(child, 'message') as [string]
  return { send: over(origin), child }
}

async function setUp (t: Test, options = {}) {
  const server = await redisFor(t)
  const proxy = await proxyFor(t, server)
  const seen = observe(t)
  const app = await appFor(t, { redis: server.client({ path: proxy.path }), ...options })
  return {
    server,
    proxy,
    app,
    events: (wanted: string) => seen().filter(([name]) => name === wanted).length
  }
}

t.test('an application is killed between script and answer: the client repeats', { timeout: 60_000 }, async (t) => {
  const server = await redisFor(t)
  const proxy = await proxyFor(t, server)
  const [doomed, other] = await Promise.all([nodeFor(t, proxy.path), nodeFor(t, server.path)])
  const user = new User(
    'ada',
    async (method, path, headers) =>
      await other.send(method, path.startsWith('/login') ? '/login' : path, headers)
  )
  t.equal((await user.login()).status, 200)
  const { token } = user
  proxy.replies = 'hold'
  const { answered } = proxy
  const lost = t.rejects(
    doomed.send('POST', '/auth/refresh', { cookie: `__Host-refresh_token=${token}` })
  )
  await until('the script to have run', () => proxy.answered > answered)
  doomed.child.kill('SIGKILL')
  await lost
  const first = await user.present(token)
  t.equal(first.status, 200)
  t.ok(first.token !== token && first.token !== undefined)
  t.equal((await user.present(token)).token, first.token, 'every repeat brings the same token')
  t.equal((await user.refresh()).status, 200)
})

t.test('an application closes with refreshes in flight: each gets its answer', async (t) => {
  const { proxy, app, events } = await setUp(t, { storeTimeout: 5 })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const users = Array.from({ length: 50 }, (_, i) => new User(`user-${i}`, over(origin)))
  await Promise.all(users.map(async user => await user.login()))
  proxy.replies = 'hold'
  const { answered } = proxy
  // A request that comes after `close` is refused by Fastify.
  let arrived = 0
  app.server.on('request', () => { arrived++ })
  const answers = users.map(async user => await user.refresh())
  await until('all to be in flight', () => arrived === 50 && proxy.answered > answered)
  let closed = false
  app.close().then(() => { closed = true }, t.threw)
  proxy.heal()
  t.strictSame(new Set((await Promise.all(answers)).map(({ status }) => status)), new Set([200]))
  await until('the application to have closed', () => {
    // Clients keep their connections open.
    app.server.closeIdleConnections()
    return closed
  })
  t.equal(events('refresh'), 50)
})

t.test('a client goes away before its answer: a repeat brings what it missed', async (t) => {
  const { proxy, app, events } = await setUp(t, { storeTimeout: 5 })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const user = new User('ada', over(origin))
  await user.login()
  proxy.replies = 'hold'
  const { answered } = proxy
  const abort = new AbortController()
  const aborted = t.rejects(
    fetch(`${origin}/auth/refresh`, {
      method: 'POST',
      headers: { cookie: `__Host-refresh_token=${user.token}` },
      signal: abort.signal
    })
  )
  await until('the script to have run', () => proxy.answered > answered)
  abort.abort()
  await aborted
  proxy.heal()
  await until('the refresh to be over', () => events('refresh') === 1)
  const { token } = user
  const repeat = await user.refresh()
  t.equal(repeat.status, 200)
  t.equal((await user.present(token)).token, repeat.token)
  t.equal((await app.sessions.list('ada'))[0]?.generation, 2)
  t.equal(events('reuse'), 0)
})

t.test('a thousand clients wait for Redis: when it is back all of them go on', { timeout: 60_000 }, async (t) => {
  const { server, proxy, app, events } = await setUp(t)
  const patient = await appFor(t, { redis: server.client(), storeTimeout: 30 })
  const users = Array.from({ length: 1000 }, (_, i) => new User(`user-${i}`, into(patient)))
  for (const user of users) {
    t.equal((await user.login()).status, 200)
    user.send = into(app)
  }
  await proxy.close()
  let back = Infinity
  let refused = 0
  const waits: number[] = []
  const herd = users.map(async user => {
    const answer = await user.refreshThrough(async () => { refused++; await delay(50) })
    waits.push(performance.now() - back)
    return answer.status
  })
  await until('every client to have been refused', () => refused >= 2000)
  await proxy.open()
  back = performance.now()
  t.strictSame(new Set(await Promise.all(herd)), new Set([200]))
  t.equal(events('reuse'), 0)
  t.equal(events('refresh'), 1000, 'each token was spent once')
  t.comment(
    `1,000 clients were served ${Math.round(percentile(waits, 0.5))} ms (median), ${Math.round(percentile(waits, 1))} ms (the last) after Redis came back; ${refused} answers of 503 before`
  )
})
