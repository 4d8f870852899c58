import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { RedisStore } from '../lib/index'
import type { Store } from '../lib/store/store'
import { createEmit } from '../lib/events'
import { boundStore } from '../lib/store/bounded'
import { second } from './support/app'
import { monitor } from './support/servers/monitor'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'
import { writes } from './support/servers/writes'
import { age } from './support/age'
import { creation, rotation, timeout as within } from '../lib/testing/contract/subject'

const users = Array.from({ length: 100 }, (_, i) => `user-${i}`)
const sidOf = (user: string) => `session of ${user}`

async function login (store: Store, users: string[]): Promise<void> {
  await Promise.all(
    users.map(async (user) => await store.create(user, creation({ sid: sidOf(user) }), within))
  )
}
const to = (to: string) => ({ from: creation().content, to })
const refresh = async (store: Store, user: string, generation = 1, more = {}) =>
  await store.rotate(user, rotation(sidOf(user), generation, more), within)

t.test('on one server', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  const store = new RedisStore(client)
  await store.open(within)
  t.beforeEach(async () => { await client.flushall() })

  t.test('what is refreshed in one turn of the event loop goes as one command, up to 64 of them', async (t) => {
    await login(store, users)
    const seen = await monitor(server)
    const outcomes = await Promise.all(
      users.map(
        async (user) => await refresh(store, user, 1, { content: to(`text of ${user}`) })
      )
    )
    t.strictSame(
      (await seen.flush()).map(([name, , keys]) => `${name} ${keys}`),
      ['evalsha 64', 'evalsha 36']
    )
    for (const [i, user] of users.entries()) {
      const wanted = {
        outcome: 'rotated',
        session: {
          sid: sidOf(user),
          generation: 2,
          content: `text of ${user}`
        }
      }
      t.match(outcomes[i], wanted)
      t.match(await store.find(user, sidOf(user), within), wanted.session)
    }
  })

  t.test('each has an outcome of its own, as if they had come one after another', async (t) => {
    await login(store, users.slice(0, 5))
    await refresh(store, 'user-2')
    await refresh(store, 'user-2', 2)
    await age(client, 10 * second)
    await refresh(store, 'user-1')
    await store.end('user-3', sidOf('user-3'), within)
    const outcomes = await Promise.all(
      [...users.slice(0, 5), 'user-0', 'user-0'].map(
        async (user) => (await refresh(store, user)).outcome
      )
    )
    t.strictSame(outcomes, [
      'rotated',
      'repeated',
      'reused',
      'unknown',
      'rotated',
      'repeated',
      'repeated'
    ])
  })

  t.test('one that fails keeps nothing from the others, and says why', async (t) => {
    await login(store, users.slice(0, 3))
    await client.set('jwt:{user-1}', 'not a hash')
    const [first, second, third] = await Promise.allSettled(
      users.slice(0, 3).map(async (user) => await refresh(store, user))
    )
    t.match(first, { value: { outcome: 'rotated' } })
    t.match(second, { reason: /WRONGTYPE/ })
    t.match(third, { value: { outcome: 'rotated' } })
  })

  t.test('those of other settings go apart', async (t) => {
    await login(store, users.slice(0, 4))
    for (const user of users.slice(0, 4)) await refresh(store, user)
    await age(client, 5 * second)
    const seen = await monitor(server)
    const outcomes = await Promise.all(
      users
        .slice(0, 4)
        .map(
          async (user, i) =>
            (await refresh(store, user, 1, { gracePeriod: i < 2 ? 10 * second : second })).outcome
        )
    )
    t.strictSame(outcomes, ['repeated', 'repeated', 'reused', 'reused'])
    t.strictSame(
      (await seen.flush()).map(([name, , keys]) => `${name} ${keys}`),
      ['evalsha 2', 'evalsha 2']
    )
  })

  t.test('so do those that keep their content and those that do not', async (t) => {
    await login(store, users.slice(0, 4))
    const seen = await monitor(server)
    const contents = ['new', undefined, 'new', undefined]
    const outcomes = await Promise.all(
      contents.map(async (content, i) => await refresh(store, `user-${i}`, 1, {
        content: content && to(content)
      }))
    )
    t.strictSame((await seen.flush()).map(([name, , keys]) => `${name} ${keys}`), [
      'evalsha 2',
      'evalsha 2'
    ])
    for (const [i, content = creation().content] of contents.entries()) {
      t.match(outcomes[i], { outcome: 'rotated', session: { sid: sidOf(`user-${i}`), content } })
    }
  })

  t.test('scripts that the server has forgotten go unnoticed', async (t) => {
    await login(store, users)
    await client.script('FLUSH')
    const outcomes = await Promise.all(
      users.map(async (user) => (await refresh(store, user)).outcome)
    )
    t.strictSame(outcomes, users.map(() => 'rotated'))
  })

  t.test('what the whole server refuses is refused to each', async (t) => {
    await login(store, users.slice(0, 3))
    const replica = new RedisStore(client)
    await replica.open(within)
    await client.config('SET', 'maxmemory', '1')
    const outcomes = await Promise.allSettled(
      users.slice(0, 3).map(async (user) => await refresh(replica, user))
    )
    await client.config('SET', 'maxmemory', '0')
    for (const outcome of outcomes) t.match(outcome, { reason: /OOM/ })
    t.match(await refresh(store, 'user-0'), { outcome: 'rotated' }, 'and nothing was done')
  })

  t.test('what the server refuses for one of them is refused to that one alone', async (t) => {
    await client.acl(
      'SETUSER',
      'limited',
      'on',
      'nopass',
      '+@all',
      '&*',
      '~jwt:{}',
      '~jwt:{user-0}*',
      '~jwt:{user-2}*'
    )
    const limited = new RedisStore(server.client({ username: 'limited', password: 'any' }))
    await limited.open(within)
    await login(store, users.slice(0, 3))
    const outcomes = await Promise.allSettled(
      users.slice(0, 3).map(async (user) => await refresh(limited, user))
    )
    t.match(outcomes, [
      { value: { outcome: 'rotated' } },
      { reason: /NOPERM/ },
      { value: { outcome: 'rotated' } }
    ])
  })

  // No server refuses one write of a script and lets the next one pass, so the script is given a
  // server that does, for the second of the users: whatever a script relies on may fail.
  const refusing = (command: string, field: string, when: string) => `
    local server = redis
    local redis = setmetatable({}, { __index = server })
    local function refuses (command, key, field)
      return ${when} and key == 'jwt:{user-1}' and command == '${command}'
        and string.find(field, '${field}')
    end
    redis.call = function (...)
      if refuses(...) then error({ err = 'ERR refused' }) end
      return server.call(...)
    end
    redis.pcall = function (...)
      if refuses(...) then return { err = 'ERR refused' } end
      return server.pcall(...)
    end\n`
  const proof = 'ThumbprintOfMine'
  const idleLifetime = 40 * second
  const bound = { idleLifetime, boundTo: proof, proof }
  // Each session has lost its binding, is in a burst, and has a key that lives too short.
  const steps: [what: string, outcome: string, command: string, field: string][] = [
    ['that binds again', 'rotated', 'HSET', '!$'],
    ['of the marks', 'rotated', 'HSET', ':$'],
    ['of the TTL', 'rotated', 'PEXPIREAT', '^%d+$'],
    ['of the session', 'rotated', 'HSET', '[^!:]$'],
    ['that binds again', 'repeated', 'HSET', '!$'],
    ['of the session', 'repeated', 'HSET', '[^!:]$']
  ]
  for (const [what, outcome, command, field] of steps) {
    t.test(`a write ${what} that fails is made up for, or fails one alone: ${outcome}`, async (t) => {
      for (const isForGood of [false, true]) {
        await client.flushall()
        const three = users.slice(0, 3)
        for (const user of three) {
          await store.create(user, creation({ sid: sidOf(user), idleLifetime }), within)
          if (outcome === 'repeated') await refresh(store, user, 1, { idleLifetime })
        }
        await age(client, 5 * second)
        const before = await store.find('user-1', sidOf('user-1'), within)
        const lua = refusing(command, field, isForGood ? 'true' : '#KEYS > 1')
        const unreliable = server.client()
        Object.assign(unreliable, {
          evalshaBuffer: async () => { throw new Error('NOSCRIPT') },
          evalBuffer: async (script: string, ...args: [number, ...string[]]) =>
            await unreliable.callBuffer('eval', lua + script, ...args)
        })
        const other = new RedisStore(unreliable)
        await other.open(within)
        const seen = await monitor(server)
        const outcomes = await Promise.allSettled(
          three.map(async (user) => await refresh(other, user, 1, bound))
        )
        t.strictSame(
          (await seen.flush()).map(([name, , keys]) => `${name} ${keys}`),
          ['eval 3', 'eval 1']
        )
        for (const [i, user] of three.entries()) {
          const fails = isForGood && i === 1
          const session = { sid: sidOf(user), generation: 2, boundTo: proof }
          t.match(outcomes[i], fails
            ? { reason: { message: /^ERR refused/ } }
            : { value: { outcome, session } })
          const found = await store.find(user, sidOf(user), within)
          if (fails) t.strictSame(found, before, 'nothing was done')
          else t.match(found, session)
        }
        t.match(await refresh(store, 'user-1', 1, bound), {
          outcome: isForGood ? outcome : 'repeated',
          session: { generation: 2, boundTo: proof }
        })
      }
    })
  }

  t.test('what reaches the server too late takes no effect on any', async (t) => {
    await login(store, users.slice(0, 3))
    await server.pause()
    const late = users
      .slice(0, 3)
      .map(async (user) => await store.rotate(user, rotation(sidOf(user), 1), 50))
    const bounded = boundStore(store, 60, createEmit('/auth'))
    await t.rejects(
      bounded.start(async () => await Promise.race(late)),
      { code: 'STORE_UNAVAILABLE', reason: 'no answer within 60 ms' }
    )
    await server.resume()
    for (const each of await Promise.allSettled(late)) {
      t.match(each, { reason: { message: 'the command reached the store too late' } })
    }
    for (const user of users.slice(0, 3)) {
      t.match(await store.find(user, sidOf(user), within), { generation: 1 })
    }
  })

  t.test('other commands of one turn leave in one write', async (t) => {
    await login(store, users)
    t.equal(
      await writes(
        client,
        async () =>
          await Promise.all(
            users.slice(0, 60).map(async (user) => await store.find(user, sidOf(user), within))
          )
      ),
      1
    )
    t.equal(
      await writes(
        client,
        async () =>
          await Promise.all(users.map(async (user) => await store.find(user, sidOf(user), within)))
      ),
      2,
      'up to 64 of them'
    )
  })

  t.test('nothing is queued where the connection goes before the turn is over', async (t) => {
    const own = server.client()
    const store = new RedisStore(own)
    await store.open(within)
    await login(store, ['ada', 'eve'])
    const late = ['ada', 'eve'].map(
      async (user) => await store.rotate(user, rotation(sidOf(user), 1), 50)
    )
    own.disconnect()
    for (const each of await Promise.allSettled(late)) t.match(each, { reason: /closed|not ready/ })
    await own.connect()
    for (const user of ['ada', 'eve']) {
      t.match(await store.find(user, sidOf(user), within), { generation: 1 })
    }
    const seen = await monitor(server)
    const soon = refresh(store, 'ada')
    own.status = 'reconnecting'
    await setImmediate()
    t.strictSame(await seen.flush(), [])
    own.status = 'ready'
    own.emit('ready')
    t.match(await soon, { outcome: 'rotated' }, 'one that comes back in time is waited for')
  })
})

t.test('what was down at the start is met once it is up', async (t) => {
  const server = await redisFor(t)
  await server.end()
  const client = server.client()
  const store = new RedisStore(client)
  await t.rejects(store.open(20), { message: /not ready/ })
  await server.start()
  await login(store, users.slice(0, 10))
  const seen = await monitor(server)
  t.strictSame(
    (await Promise.all(users.slice(0, 10).map(async (user) => await refresh(store, user)))).map(
      ({ outcome }) => outcome
    ),
    Array(10).fill('rotated')
  )
  t.strictSame(
    (await seen.flush()).map(([name, , keys]) => `${name} ${keys}`),
    ['evalsha 10', 'eval 10'],
    'and its scripts are learned'
  )
})

t.test('a part of a cluster gets one command each, also where it does not say what it is', async (t) => {
  const server = await redisFor(t, { args: ['--cluster-enabled', 'yes'] })
  const client = server.client()
  await client.cluster('ADDSLOTSRANGE', 0, 16383)
  await until('the cluster to be up', async () =>
    /cluster_state:ok/.test(String(await client.cluster('INFO')))
  )
  const honest = new RedisStore(client)
  const disguised = Object.assign(Object.create(client), {
    info: async () => 'redis_mode:standalone'
  })
  const deceived = new RedisStore(disguised)
  for (const store of [honest, deceived]) {
    await store.open(within)
    await login(store, users.slice(0, 10))
    for (const generation of [1, 2]) {
      const outcomes = await Promise.all(
        users.slice(0, 10).map(async (user) => (await refresh(store, user, generation)).outcome)
      )
      t.strictSame(outcomes, Array(10).fill('rotated'))
    }
    await client.flushall()
  }
  await client.config('RESETSTAT')
  await Promise.all(users.slice(0, 3).map(async (user) => await refresh(deceived, user)))
  t.match(
    await client.info('commandstats'),
    /cmdstat_evalsha:calls=3,.*rejected_calls=0/,
    'it has learned'
  )
})
