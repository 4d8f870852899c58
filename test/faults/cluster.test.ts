import { Cluster as Cluster5 } from 'ioredis5'
import t from 'tap'
import { RedisStore } from '../../lib/index'
import { createScripts } from '../../lib/store/redis/scripts/scripts'
import { observe } from '../support/events'
import { clusterFor, type RedisCluster } from '../support/servers/cluster'
import { moveSlot } from '../support/servers/move-slot'
import { until } from '../support/servers/until'
import { writes } from '../support/servers/writes'
import { age } from '../support/age'
import { timeout as within } from '../../lib/testing/contract/subject'
import { holdToContract } from '../support/hold-to-contract'
import { appFor } from './app'
import { Load } from './load'
import { soak } from './soak'
import { into, User } from './user'

const masters = (cluster: RedisCluster) => cluster.nodes.slice(0, 3)

async function keyOf (cluster: RedisCluster): Promise<string> {
  const keys = await Promise.all(
    masters(cluster).map(async (node) => await cluster.admin(node).keys('*'))
  )
  return keys.flat()[0] ?? ''
}

t.test('on a cluster', async (t) => {
  const cluster = await clusterFor(t)
  const five = cluster.track(
    new Cluster5(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  )
  const shared = new RedisStore(five)
  const pass = async (ms: number) => {
    for (const node of cluster.nodes) await age(cluster.admin(node), ms)
  }
  holdToContract(t, 'RedisStore on a cluster', async () => ({
    store: new RedisStore(cluster.client()),
    pass
  }))
  holdToContract(t, 'RedisStore on a cluster by ioredis 5', async () => ({ store: shared, pass }))
})

t.test('on a cluster, the commands of one turn leave in one write for each master', async (t) => {
  const cluster = await clusterFor(t)
  const client = cluster.client()
  const store = new RedisStore(client)
  await store.open(within)
  const users = Array.from({ length: 60 }, (_, i) => `user-${i}`)
  const ask = async () =>
    await Promise.all(users.map(async (user) => await store.list(user, within)))
  await ask() // now each master knows the script, and has a connection
  t.equal(await writes(client, ask), 3)
})

t.test('a slot moves while its user goes on', { timeout: 60_000 * soak }, async (t) => {
  const cluster = await clusterFor(t)
  const seen = observe(t)
  const app = await appFor(t, { redis: cluster.client(), storeTimeout: 1.5 })
  const user = new User('ada', into(app))
  await user.login()
  const others = Array.from({ length: 50 }, (_, i) => new User(`user-${i}`, into(app)))
  const key = await keyOf(cluster)
  for (const other of others) await other.login()

  const load = new Load(others)
  for (let i = 0; i < 4 * soak; i++) {
    const from = await cluster.masterOf(key)
    const to = cluster.nodes.find(node => node !== from) ?? from
    await moveSlot(cluster, key, to, async () => {
      t.match(
        await user.refresh(),
        { status: 200 },
        'by the old or the new master, whichever has the session now'
      )
      t.equal((await new User('ada', into(app)).login()).status, 200)
    })
    t.equal(await cluster.masterOf(key), to)
    t.equal((await user.refresh()).status, 200)
  }
  await load.stop()
  t.strictSame([...load.answers.keys()], [200], 'nobody else notices')
  t.same(seen().filter(([name]) => name === 'reuse' || name === 'heal'), [])
})

t.test('a master is killed under load', { timeout: 60_000 * soak }, async (t) => {
  const cluster = await clusterFor(t, { replicas: true })
  const seen = observe(t)
  // Longer than the default: how slow the machine is under load is not what is tried here.
  const app = await appFor(t, { redis: cluster.client(), storeTimeout: 1.5 })
  const users = Array.from({ length: 200 }, (_, i) => new User(`user-${i}`, into(app)))
  for (const user of users) t.equal((await user.login()).status, 200)
  // A login that no replica has heard of when its master dies would be lost: that is not what is
  // tried here.
  for (const node of masters(cluster)) {
    await cluster.admin(node).set(await cluster.keyOn(node), '', 'PX', 1000)
    t.equal(await cluster.admin(node).wait(1, 5000), 1)
  }

  const load = new Load(users)
  await until('some thousand refreshes', () => load.refreshes > 2000 * soak)
  const key = await keyOf(cluster)
  const replica = await cluster.replicaOf(key)
  t.same(
    await cluster.admin(replica).script('EXISTS', createScripts('jwt:ended').rotate.sha),
    [0],
    'its replica knows no script yet'
  )
  const killed = performance.now()
  await (await cluster.masterOf(key)).kill()
  await until('the replica to be promoted', async () => (await cluster.masterOf(key)) === replica)
  const promoted = performance.now()
  const before = load.refreshes
  await until('some thousand refreshes more', () => load.refreshes > before + 2000 * soak)
  await load.stop()

  const count = (wanted: string) => seen().filter(([name]) => name === wanted).length
  const { first, last } = load.unavailable ?? { first: killed, last: killed }
  t.comment(
    `${load.refreshes} refreshes by 200 users, ${load.answers.get(503) ?? 0} answers of 503 from ${Math.round(first - killed)} to ${Math.round(last - killed)} ms after the kill; ` +
      `promoted after ${Math.round(promoted - killed)} ms; ${count('heal')} heals, ${count('repeat')} repeats`
  )
  t.same(load.refusals, [], 'no session is lost')
  t.equal(count('reuse'), 0, 'an accident is no theft')
  t.ok(first >= killed && last < promoted + 2000, 'there is no 503 but during the failover')
  for (const user of users) t.equal((await user.refresh()).status, 200)
})
