import { Redis } from 'ioredis'
import t from 'tap'
import type { Store } from '../lib/index'
import { build, hour } from './support/app'
import { observe } from './support/events'
import { clusterFor } from './support/servers/cluster'
import { cutOff, join, replicatedFor } from './support/servers/replica'
import { age } from './support/age'

const durability = { replicas: 1, timeout: 0.2 }

t.test('an ending is answered once a replica has it', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const seen = observe(t)
  const { app, login, logout, refresh } = await build(t, {
    redis: master.client(),
    durability: { replicas: 1, timeout: '5s' }
  })
  const copy = replica.client()
  const held = async () => (await copy.keys('*')).length

  const first = await login()
  t.equal((await logout(first)).statusCode, 204)
  t.equal(await held(), 0)

  await login()
  await login()
  const [session] = await app.sessions.list('ada')
  t.equal(await app.sessions.revoke('ada', String(session?.sid)), true)
  t.equal(await app.sessions.revokeAll('ada'), 1)
  t.equal(await held(), 0)

  const stolen = await login()
  const next = await refresh(stolen)
  t.equal(next.statusCode, 200)
  await age(master.client(), hour)
  t.equal((await refresh(stolen)).json().code, 'REFRESH_TOKEN_REUSED')
  t.equal(await held(), 0)
  t.strictSame(seen().filter(([name]) => name === 'unconfirmed'), [])
})

t.test('an ending that no replica has is one all the same, and says so', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const seen = observe(t)
  const { app, login, logout, refresh } = await build(t, { redis: master.client(), durability })
  const unconfirmed = () =>
    seen()
      .filter(([name]) => name === 'unconfirmed')
      .map(([, event]) => event)
  await cutOff(replica)

  const gone = await login({ sub: 'ada' })
  const { statusCode, headers } = await logout(gone)
  t.equal(statusCode, 202)
  t.match(headers['set-cookie'], /Max-Age=0/)
  t.match(unconfirmed(), [{ sub: 'ada', sid: String, replicas: 0 }])
  t.equal((await refresh(gone)).statusCode, 401)

  await login({ sub: 'ada' })
  const [session] = await app.sessions.list('ada')
  await t.rejects(app.sessions.revoke('ada', String(session?.sid)), {
    code: 'ENDING_UNCONFIRMED',
    statusCode: 503
  })
  t.strictSame(await app.sessions.list('ada'), [])

  await replica.client().replicaof('127.0.0.1', master.port)
  await join(replica)
  t.equal(
    await app.sessions.revoke('ada', String(session?.sid)),
    false,
    'asked again, it is confirmed'
  )
  t.equal(unconfirmed().length, 2)
})

t.test('an ending without a session waits too: it may be the repeat of one that was not confirmed', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const seen = observe(t)
  const { app } = await build(t, { redis: master.client(), durability })
  await cutOff(replica)
  await t.rejects(app.sessions.revokeAll('ada'), { code: 'ENDING_UNCONFIRMED' })
  t.match(seen().filter(([name]) => name === 'unconfirmed'), [['unconfirmed', { replicas: 0 }]])
})

t.test('replicas that are away hold up nobody but those who wait for them', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const { app, login, refresh } = await build(t, {
    redis: master.client(),
    durability: { replicas: 1, timeout: 2 }
  })
  const client = await login()
  await cutOff(replica)
  const endings = Array.from({ length: 150 }, async (_, i) =>
    await app.sessions.revoke(`user-${i}`, 'x').catch((error: { code: string }) => error.code))
  const first = await Promise.race([
    refresh(client).then(({ statusCode }) => statusCode),
    ...endings
  ])
  t.equal(first, 200, 'a refresh waits for none of them')
  t.strictSame(new Set(await Promise.all(endings)), new Set(['ENDING_UNCONFIRMED']))
})

t.test('a connection that fails confirms nothing', async (t) => {
  const { master } = await replicatedFor(t)
  const redis = master.client()
  redis.duplicate = () =>
    master.track(new Redis({ path: '/nowhere', retryStrategy: null, maxRetriesPerRequest: 0 }))
  const { login, logout } = await build(t, { redis, durability })
  t.equal((await logout(await login())).statusCode, 202)
})

t.test('on a cluster the replicas of the user\'s own master are asked', async (t) => {
  const cluster = await clusterFor(t, { replicas: true })
  const { login, logout } = await build(t, {
    redis: cluster.client(),
    durability: { replicas: 1, timeout: '5s' }
  })
  for (const sub of ['ada', 'bob', 'cyd', 'dan']) {
    t.equal((await logout(await login({ sub }))).statusCode, 204)
  }
  for (const node of cluster.nodes.slice(3)) t.strictSame(await cluster.admin(node).keys('*'), [])
})

t.test('the option names what is wrong with it', async (t) => {
  const { master } = await replicatedFor(t)
  const redis = master.client()
  const store = {
    now () {},
    create () {},
    find () {},
    list () {},
    rotate () {},
    update () {},
    end () {},
    endAll () {}
  } as unknown as Store
  await t.rejects(build(t, { redis, durability: { replicas: 0 } }), {
    message: /durability\.replicas is 0; allowed: an integer of 1 or more/
  })
  await t.rejects(build(t, { redis, durability: {} as never }), {
    message: /durability\.replicas is undefined/
  })
  await t.rejects(build(t, { redis, durability: { replicas: 1, timeout: 0 } }), {
    message: /durability\.timeout is 0/
  })
  await t.rejects(build(t, { redis, durability: { replicas: 1, timeout: 100 } }), {
    message: /durability\.timeout is 100 s; allowed: up to 30 s: it is in seconds/
  })
  await t.rejects(build(t, { store, durability }), {
    code: 'INVALID_OPTION',
    message: /durability is given; allowed: nothing with a store that has no replicas/
  })
})
