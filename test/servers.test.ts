import t from 'tap'
import { redisFor } from './servers/redis'
import { monitor } from './servers/monitor'

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
