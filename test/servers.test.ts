import t from 'tap'
import { monitor } from './support/servers/monitor'
import { proxyFor } from './support/servers/proxy'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

t.test('a server answers, dies, comes back on the same socket and forgets', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  await client.set('a', '1')
  await server.restart()
  t.equal(await client.get('a'), null)
  await server.kill()
  await server.start()
  t.equal(await client.ping(), 'PONG')
})

t.test('a paused server answers once it is resumed', async (t) => {
  const server = await redisFor(t)
  const client = server.client({ commandTimeout: 50 })
  await client.ping()
  await server.pause()
  await t.rejects(client.ping(), { message: 'Command timed out' })
  await server.resume()
  t.equal(await client.ping(), 'PONG')
})

t.test('a monitor shows what clients send and not what scripts call', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  const watch = await monitor(server)
  await client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, 'key', 'value')
  t.match(await watch.flush(), [['eval', String, '1', 'key', 'value']])
  t.same(await watch.flush(), [])
})

t.test('a proxy delays some of what comes, and keeps all of it in order', async (t) => {
  const server = await redisFor(t)
  const proxy = await proxyFor(t, server)
  const client = server.client({ path: proxy.path })
  const answers: Promise<number>[] = []
  for (let i = 0; i < 400; i++) {
    proxy.replies = i % 3 === 0 ? { delay: 20 } : 'pass'
    answers.push(client.incr('count'))
    await new Promise((resolve) => setTimeout(resolve, i % 2))
  }
  t.strictSame(await Promise.all(answers), answers.map((_, i) => i + 1))
})

t.test('a proxy holds, delays, swallows, cuts and refuses', async (t) => {
  const server = await redisFor(t)
  const proxy = await proxyFor(t, server)
  const client = server.client({
    path: proxy.path,
    autoResendUnfulfilledCommands: false,
    commandTimeout: 250,
    enableOfflineQueue: false
  })
  const count = server.client()
  const back = () => until('the client to be back', () => client.status === 'ready')
  await back()

  proxy.requests = 'hold'
  await t.rejects(client.incr('held'), { message: 'Command timed out' })
  t.equal(await count.get('held'), null)
  proxy.heal()
  await until('what was held to arrive', () => count.get('held'))

  proxy.replies = { delay: 50 }
  const start = performance.now()
  await client.incr('late')
  t.ok(performance.now() - start > 45)
  proxy.heal()

  proxy.replies = 'swallow'
  await t.rejects(client.incr('swallowed'), { message: 'Command timed out' })
  t.equal(await count.get('swallowed'), '1')
  proxy.heal()
  await until('the connection to be cut', () => client.status !== 'ready')
  await back()

  proxy.replies = { cut: 2 }
  await t.rejects(client.incr('cut'))
  t.equal(await count.get('cut'), '1')
  proxy.heal()
  await back()

  await proxy.close()
  await until('the client to notice', () => client.status !== 'ready')
  await t.rejects(client.incr('refused'))
  await proxy.open()
  await back()
  t.equal(await count.get('refused'), null)
})
