import { copyFileSync } from 'node:fs'
import { join as at } from 'node:path'
import t from 'tap'
import type { SessionEvent } from '../../lib/index'
import { observe } from '../support/events'
import { second } from '../support/app'
import { age } from '../support/age'
import { exhaustDisk, fillDisk, hasDisk } from '../support/servers/disk'
import { proxyFor } from '../support/servers/proxy'
import { redisFor } from '../support/servers/redis'
import { cutOff, promote, replicatedFor } from '../support/servers/replica'
import { sentinelFor } from '../support/servers/sentinel'
import { until } from '../support/servers/until'
import { appFor } from './app'
import { Load } from './load'
import { soak } from './soak'
import { into, User, type Answer } from './user'

const later = () => new Promise(resolve => setImmediate(resolve))
const is = (wanted: string) => ([name]: [string, SessionEvent]) => name === wanted

t.test('rotations that no replica has are lost with their master, and heal', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const proxy = await proxyFor(t, master)
  const seen = observe(t)
  const app = await appFor(t, { redis: master.client({ path: proxy.path }), storeTimeout: 5 })
  const users = Array.from({ length: 200 * soak }, (_, i) => new User(`user-${i}`, into(app)))
  for (const user of users) await user.login()
  const admin = master.client()
  await admin.set('marker', '', 'PX', 1000)
  t.equal(await admin.wait(1, 5000), 1)

  await cutOff(replica)
  // From none to three rotations that are lost, and of each user the token before the last as well.
  const spent = new Map<User, string>()
  for (const [i, user] of users.entries()) {
    for (let n = 0; n < i % 4; n++) {
      spent.set(user, user.token)
      t.equal((await user.refresh()).status, 200)
    }
  }
  const promoted = replica.client()
  const before = (await promoted.keys('jwt:*')).length
  await master.kill()
  await promote(replica)
  proxy.target = replica

  const answers = await Promise.all(users.map(async user => await user.refreshThrough(later)))
  t.equal(
    answers.filter(({ status }) => status === 200).length,
    users.length,
    'nobody is logged out'
  )
  t.equal((await promoted.keys('jwt:*')).length, before, 'there are as many sessions as before')
  t.equal(seen().filter(is('heal')).length, users.length * 3 / 4)
  t.equal(seen().filter(is('reuse')).length, 0, 'a lost write is no theft')
  t.comment(
    `${seen().filter(is('heal')).length} of ${users.length} sessions had lost up to three rotations each; all go on`
  )

  for (const user of users) t.equal((await user.refresh()).status, 200)
  await age(promoted, 12 * second)
  for (const old of spent.keys()) {
    const { status, code } = await old.present(spent.get(old) ?? '')
    t.strictSame(
      [status, code],
      [401, 'REFRESH_TOKEN_REUSED'],
      'a healed session detects reuse as any other does'
    )
  }
})

t.test('what durability buys: endings that no replica has are lost with their master, but none in silence', async (t) => {
  const lost: Record<string, string> = {}
  for (const durability of [undefined, { replicas: 1, timeout: 0.2 }]) {
    const { master, replica } = await replicatedFor(t)
    const proxy = await proxyFor(t, master)
    const app = await appFor(t, {
      redis: master.client({ path: proxy.path }),
      durability,
      storeTimeout: 2
    })
    const users = Array.from({ length: 60 }, (_, i) => new User(`user-${i}`, into(app)))
    for (const user of users) await user.login()
    const marking = master.client()
    await marking.set('marker', '', 'PX', 1000)
    t.equal(await marking.wait(1, 5000), 1)

    const logout = async (from: number, to: number): Promise<Answer[]> => {
      const answers: Answer[] = []
      for (const user of users.slice(from, to)) answers.push(await user.logout())
      return answers
    }
    const early = await logout(0, 30)
    // Without durability nobody waits for this: the test does.
    await marking.set('marker', '', 'PX', 1000)
    t.equal(await marking.wait(1, 5000), 1)
    await cutOff(replica)
    const late = await logout(30, 60)
    await master.kill()
    await promote(replica)
    proxy.target = replica
    const after = await Promise.all(users.map(async user => await user.refreshThrough(later)))
    const back = (from: number, to: number) =>
      after.slice(from, to).filter(({ status }) => status === 200).length

    t.ok(early.every(({ status }) => status === 204))
    t.equal(back(0, 30), 0, 'what a replica has stays ended')
    // The last one may still be on its way again, to whoever is the master now.
    t.ok(back(30, 60) >= (durability ? 28 : 30), 'what no replica has is undone')
    t.ok(late.every(({ status }) => status === (durability ? 202 : 204)))
    lost[durability ? 'with' : 'without'] =
      `of 30 logouts without a replica ${late.filter(({ status }) => status === 204).length} were answered 204, ${back(30, 60)} came back`
  }
  t.comment(`without durability: ${lost['without']}; with it: ${lost['with']}`)
})

t.test('an old dump is restored', async (t) => {
  const server = await redisFor(t)
  const seen = observe(t)
  const app = await appFor(t, { redis: server.client(), storeTimeout: 5 })
  const users = Array.from({ length: 100 }, (_, i) => new User(`user-${i}`, into(app)))
  for (const user of users) await user.login()
  const admin = server.client()
  await admin.save()
  copyFileSync(at(server.folder, 'dump.rdb'), at(server.folder, 'old.rdb'))
  for (let n = 0; n < 5; n++) for (const user of users) await user.refresh()
  const late = new User('late', into(app))
  await late.login()
  await server.kill()
  copyFileSync(at(server.folder, 'old.rdb'), at(server.folder, 'dump.rdb'))
  await server.start()

  const answers = await Promise.all(users.map(async user => await user.refreshThrough(later)))
  t.ok(
    answers.every(({ status }) => status === 200),
    'nobody whose session is in the dump is logged out'
  )
  t.match(seen().filter(is('heal')).map(([, event]) => event.distance), Array(100).fill(5))
  t.equal(seen().filter(is('reuse')).length, 0)
  t.match(
    await late.refreshThrough(later),
    { status: 401, code: 'REFRESH_TOKEN_INVALID' },
    'a session that began later is gone, and that is no reuse'
  )
})

t.test('a server is killed while its disk is full, and what it has told is not there', {
  skip: !hasDisk && 'no disk can be filled here'
}, async (t) => {
  const server = await redisFor(t, { args: ['--appendonly', 'yes', '--appendfsync', 'no'] })
  const seen = observe(t)
  const app = await appFor(t, { redis: server.client(), storeTimeout: 5 })
  const [ada, bob] = ['ada', 'bob'].map((sub) => new User(sub, into(app))) as [User, User]
  for (const user of [ada, bob]) await user.login()
  for (const user of [ada, bob]) t.equal((await user.refresh()).status, 200)
  await fillDisk(server, 10)
  t.equal((await ada.refresh()).status, 200, 'the one that meets the full disk')
  t.equal((await ada.refresh()).status, 503)
  t.equal((await bob.refresh()).status, 503)
  await server.kill()
  await server.start()
  for (const user of [ada, bob]) {
    t.equal((await user.refreshThrough(later)).status, 200)
    t.equal((await user.refresh()).status, 200)
  }
  t.match(seen().filter(is('heal')), [['heal', { sub: 'ada', distance: 1 }]])
  t.equal(seen().filter(is('reuse')).length, 0, 'a lost write is no theft')
})

t.test('Sentinel fails over under load', { timeout: 60_000 * soak }, async (t) => {
  const group = await sentinelFor(t)
  const seen = observe(t)
  // Longer than the default: how slow the machine is under load is not what is tried here.
  const redis = group.client()
  let connected = 0
  redis.on('ready', () => { connected = performance.now() })
  const app = await appFor(t, { redis, storeTimeout: 1.5 })
  const users = Array.from({ length: 200 }, (_, i) => new User(`user-${i}`, into(app)))
  for (const user of users) await user.login()
  t.equal(await group.client().set('marker', '', 'PX', 1000), 'OK')
  await until(
    'the replica to have the sessions',
    async () => (await group.replica.client().keys('jwt:*')).length === 200
  )

  const load = new Load(users)
  await until('some thousand refreshes', () => load.refreshes > 2000 * soak)
  const killed = performance.now()
  await group.master.kill()
  await group.agree(group.replica)
  const promoted = performance.now()
  const before = load.refreshes
  await until('some thousand refreshes more', () => load.refreshes > before + 2000 * soak)
  await load.stop()

  const { first, last } = load.unavailable ?? { first: killed, last: killed }
  t.comment(
    `${load.refreshes} refreshes by 200 users, ${load.answers.get(503) ?? 0} answers of 503 from ${Math.round(first - killed)} to ${Math.round(last - killed)} ms after the kill; ` +
      `promoted after ${Math.round(promoted - killed)} ms; ${seen().filter(is('heal')).length} heals, ${seen().filter(is('repeat')).length} repeats`
  )
  t.same(load.refusals, [], 'no session is lost')
  t.equal(seen().filter(is('reuse')).length, 0, 'an accident is no theft')
  const over = Math.max(promoted, connected) + 2000
  t.ok(first >= killed && last < over, 'there is no 503 but during the failover')
})

t.test('Sentinel replaces a master whose disk is full, and a client that is told leaves it at once', {
  skip: !hasDisk && 'no disk can be filled here'
}, async (t) => {
  const group = await sentinelFor(t, { args: ['--appendonly', 'yes', '--appendfsync', 'no'] })
  const app = await appFor(t, { redis: group.client({ failoverDetector: true }), storeTimeout: 2 })
  const user = new User('ada', into(app))
  t.equal((await user.login()).status, 200)
  const admin = group.master.client()
  await admin.set('marker', '', 'PX', 1000)
  t.equal(await admin.wait(1, 5000), 1)
  await exhaustDisk(group.master)
  t.equal((await user.refresh()).status, 503)
  t.equal((await user.refreshThrough(later)).status, 200)
  t.equal((await user.refresh()).status, 200)
  t.equal((await admin.role())[0], 'master', 'which has not been demoted yet')
})
