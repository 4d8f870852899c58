import { Redis } from 'ioredis'
import t from 'tap'
import { RedisStore } from '../lib/store/redis/redis'
import { slotOf } from '../lib/store/redis/slot'
import type { Ended, Replication } from '../lib/store/store'
import { clusterFor } from './support/servers/cluster'
import { monitor } from './support/servers/monitor'
import { redisFor } from './support/servers/redis'
import { cutOff, join, promote, replicatedFor } from './support/servers/replica'
import { creation, timeout } from '../lib/testing/contract/subject'
import { until } from './support/servers/until'

const one = (userTag: string, ...sids: string[]): Ended[] => [{ userTag, sids }]

/** What replicas confirm of a store, and how long it took. */
async function timed (confirmation: Promise<number>): Promise<[confirmed: number, ms: number]> {
  const start = performance.now()
  return [await confirmation, performance.now() - start]
}

t.test('a replica that is there confirms, one that is away does not, and nobody waits longer than told', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const replication = new RedisStore(master.client()).replication()
  t.teardown(() => replication.close())
  t.equal(await replication.confirm(one('u', 'a', 'b'), 1, 5_000), 1)
  const [confirmed, ms] = await timed(replication.confirm(one('u', 'a'), 2, 100))
  t.ok(confirmed < 2, 'fewer than are asked for')
  t.ok(ms < 1_000)
  await cutOff(replica)
  const [without, waited] = await timed(replication.confirm(one('u', 'a'), 1, 100))
  t.equal(without, 0)
  t.ok(waited >= 100 && waited < 1_000)
  await replica.client().replicaof('127.0.0.1', master.port)
  await join(replica)
  t.equal(await replication.confirm(one('u', 'a'), 1, 5_000), 1)
})

t.test('all endings of a turn are confirmed by one WAIT, and those that come meanwhile by the next', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const replication = new RedisStore(master.client()).replication()
  t.teardown(() => replication.close())
  await replication.confirm(one('warm'), 1, 5_000)
  const seen = await monitor(master)
  const names = async () => (await seen.flush()).map(([name]) => name)
  t.strictSame(
    await Promise.all(
      Array.from({ length: 300 }, async () => await replication.confirm(one('u', 'dead'), 1, 5_000))
    ),
    Array(300).fill(1)
  )
  t.strictSame(await names(), ['eval', 'wait'])
  t.equal(await replication.confirm([...one('u', 'a'), ...one('v', 'b')], 1, 5_000), 1)
  t.strictSame(await names(), ['eval', 'eval', 'wait'], 'of several users as well')
  await cutOff(replica)
  const first = replication.confirm(one('u', 'x'), 1, 300)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  const others = Array.from(
    { length: 40 },
    async (_, i) => await replication.confirm(one(`user-${i}`, 'y'), 1, 5_000)
  )
  t.equal(await first, 0)
  await replica.client().replicaof('127.0.0.1', master.port)
  await join(replica)
  t.strictSame(
    await Promise.all(others),
    Array(40).fill(1),
    'one that nobody confirms takes nothing from the others'
  )
  t.strictSame((await names()).filter((name) => name === 'wait'), ['wait', 'wait'])
})

t.test('after any number of confirmations that failed the next one is confirmed', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const replication = new RedisStore(master.client()).replication()
  t.teardown(() => replication.close())
  await cutOff(replica)
  for (let i = 0; i < 3; i++) {
    const all = Array.from(
      { length: 120 },
      async (_, i) => await replication.confirm(one(`user-${i}`, 'x'), 1, 30)
    )
    t.strictSame(new Set(await Promise.all(all)), new Set([0]))
  }
  await replica.client().replicaof('127.0.0.1', master.port)
  await join(replica)
  t.equal(await replication.confirm(one('u', 'x'), 1, 5_000), 1)
})

t.test('what a failover brought back is ended again, here and on the replica', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const client = master.client()
  const store = new RedisStore(client)
  const { session: { sid } } = await store.create('u', creation(), timeout)
  const { session: bystander } = await store.create('u', creation(), timeout)
  await client.wait(1, 5_000)
  await cutOff(replica)
  await store.end('u', sid, timeout)
  await promote(replica)
  await client.replicaof('127.0.0.1', 1)
  const promoted = new RedisStore(replica.client())
  t.match(await promoted.find('u', sid, timeout), { sid }, 'the ending was lost')
  const replication = promoted.replication()
  t.teardown(() => replication.close())
  t.equal(await replication.confirm(one('u', sid), 1, 50), 0, 'nobody has it yet')
  t.equal(await promoted.find('u', sid, timeout), undefined)
  t.match(await promoted.find('u', bystander.sid, timeout), { sid: bystander.sid })
})

t.test('a key that the confirmation creates is gone with it', async (t) => {
  const { master } = await replicatedFor(t)
  const client = master.client()
  const replication = new RedisStore(client).replication()
  t.teardown(() => replication.close())
  t.equal(await replication.confirm(one('nobody', 'x'), 1, 5_000), 1)
  t.strictSame(await client.keys('*'), [])
})

t.test('a connection that its client has given up for good is opened anew', async (t) => {
  const { master } = await replicatedFor(t)
  const client = master.client({ retryStrategy: () => null })
  const replication = new RedisStore(client).replication()
  t.teardown(() => replication.close())
  t.equal(await replication.confirm(one('u', 'x'), 1, 5_000), 1)
  const admin = master.client()
  const lines = String(await admin.client('LIST')).split('\n')
  const [, id = ''] = /^id=(\d+)/.exec(lines.find((line) => line.includes('cmd=wait')) ?? '') ?? []
  await admin.client('KILL', 'ID', id)
  await until('a confirmation', async () => await replication.confirm(one('u', 'x'), 1, 50) === 1)
  t.equal(client.status, 'ready')
})

t.test('a server that refuses a write, or a connection that fails, confirms nothing', async (t) => {
  const { master } = await replicatedFor(t)
  const client = master.client()
  const replication = new RedisStore(client).replication()
  t.teardown(() => replication.close())
  await client.config('SET', 'maxmemory', 1)
  for (const sids of [[], ['x']]) {
    const confirmed = await replication.confirm(one('u', ...sids), 1, 5_000)
    t.equal(confirmed, 1, 'what ends sessions needs no memory')
  }
  await client.config('SET', 'maxmemory', 0)
  await client.set('jwt:{u}', 'not a hash')
  const both = [
    replication.confirm(one('u', 'x'), 1, 5_000),
    replication.confirm(one('v', 'x'), 1, 5_000)
  ]
  t.strictSame(await Promise.all(both), [0, 1], 'and takes nothing from others')
  const broken = master.client()
  broken.duplicate = () =>
    master.track(new Redis({ path: '/nowhere', retryStrategy: null, maxRetriesPerRequest: 0 }))
  const none = new RedisStore(broken).replication()
  t.teardown(() => none.close())
  t.equal(await none.confirm(one('u', 'x'), 1, 5_000), 0)
})

t.test('a server that stands still holds nobody longer than told, and its connection is given up', async (t) => {
  const { master } = await replicatedFor(t)
  const client = master.client({ commandTimeout: 20, enableOfflineQueue: false })
  await new Promise((resolve) => client.once('ready', resolve))
  let connections = 0
  const duplicate = client.duplicate.bind(client)
  client.duplicate = (...args) => { connections++; return duplicate(...args) }
  const replication: Replication = new RedisStore(client).replication()
  t.teardown(() => replication.close())
  t.equal(
    await replication.confirm(one('u', 'x'), 1, 5_000),
    1,
    'whatever the client does with its own commands'
  )
  await master.pause()
  const [confirmed, ms] = await timed(replication.confirm(one('u', 'x'), 1, 50))
  t.equal(confirmed, 0)
  t.ok(ms < 1_000)
  const patient = replication.confirm(one('u', 'x'), 1, 10_000)
  await master.resume()
  t.equal(await patient, 1)
  await master.pause()
  t.equal(await replication.confirm(one('u', 'x'), 1, 50), 0)
  // Asked for while the WAIT before it is stuck: it goes over another connection.
  t.equal(await replication.confirm(one('u', 'x'), 1, 1_500), 0)
  await master.resume()
  t.equal(await replication.confirm(one('u', 'x'), 1, 10_000), 1)
  t.equal(connections, 2)
})

t.test('closing confirms nothing of what is on its way', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const replication = new RedisStore(master.client()).replication()
  await replication.confirm(one('u'), 1, 5_000)
  await cutOff(replica)
  const open = replication.confirm(one('u', 'x'), 1, 60_000)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  replication.close()
  t.equal(await open, 0)
})

t.test('closing opens no connection for those that still wait', async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  const replication = new RedisStore(server.client()).replication()
  const first = replication.confirm(one('u', 'a'), 1, 200)
  await until(
    'the first to be asked for',
    async () =>
      /cmdstat_wait:/.test(String(await admin.info('commandstats'))) ||
      ((await admin.client('LIST')) as string).includes('cmd=wait')
  )
  const second = replication.confirm(one('u', 'b'), 1, 200)
  await new Promise(setImmediate)
  const before = Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1])
  replication.close()
  t.strictSame(await Promise.all([first, second]), [0, 0])
  t.equal(Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1]), before)
})

t.test('on a cluster each master is asked once, over whichever slots', async (t) => {
  const cluster = await clusterFor(t, { replicas: true })
  const client = cluster.client()
  await client.ping()
  const replication = new RedisStore(client).replication()
  t.teardown(() => replication.close())
  const users = Array.from({ length: 60 }, (_, i) => `user-${i}`)
  const all = users.flatMap((user) => one(user, 'x'))
  t.equal(await replication.confirm(all, 1, 5_000), 1)
  const seen = await Promise.all(cluster.nodes.slice(0, 3).map(async (node) => await monitor(node)))
  t.equal(await replication.confirm(all, 1, 5_000), 1)
  t.strictSame(
    await Promise.all(
      users.map(async (user) => await replication.confirm(one(user, 'y'), 1, 5_000))
    ),
    users.map(() => 1)
  )
  const waits = await Promise.all(
    seen.map(async (each) => (await each.flush()).filter(([name]) => name === 'wait').length)
  )
  t.strictSame(waits, [2, 2, 2])
})

t.test('the slot of a key is that of the server', async (t) => {
  const server = await redisFor(t, {
    args: ['--cluster-enabled', 'yes', '--cluster-port', '0']
  }).catch(() => undefined)
  if (server === undefined) return
  for (const key of [
    'jwt:{user-1}',
    'jwt:{user-1}:sid',
    'a',
    '',
    'jwt:{}',
    '{',
    'a}b{c}d{e}',
    'jwt:{☎}',
    '{a{b}c}'
  ]) {
    t.equal(slotOf(key), await server.client().cluster('KEYSLOT', key), key)
  }
})
