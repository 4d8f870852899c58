import fc from 'fast-check'
import t from 'tap'
import { RedisStore, MemoryStore } from '../lib/index'
import { boundStore } from '../lib/store/bounded'
import { createScripts } from '../lib/store/redis/scripts/scripts'
import type { Store } from '../lib/store/store'
import { TestClock, hour, minute, day, second } from './support/app'
import { age } from './support/age'
import { creation, Holder, presentation, rotation, timeout } from '../lib/testing/contract/subject'
import { holdToContract } from './support/hold-to-contract'
import { countReachable } from './support/garbage'
import { monitor } from './support/servers/monitor'
import { redisFor } from './support/servers/redis'

const nobody = () => {}

t.test('MemoryStore', async (t) => {
  holdToContract(t, 'MemoryStore', () => {
    const clock = new TestClock()
    clock.ms = Date.now()
    return { store: new MemoryStore(clock), pass: (ms) => clock.pass(ms) }
  })

  t.test('a login frees the memory of users whose sessions have all run out', async (t) => {
    const clock = new TestClock()
    const store = new MemoryStore(clock)
    const users = Array.from({ length: 4 }, (_, i) => `user ${i}`)
    for (const user of users) await store.create(user, creation({ idleLifetime: hour }))
    const held = async () => {
      // With the clock set back, what was only hidden is there again.
      clock.pass(-hour)
      const lists = await Promise.all(users.map(async (user) => await store.list(user)))
      clock.pass(hour)
      return lists.flat().length
    }
    clock.pass(hour)
    t.equal(await held(), 4)
    const { session } = await store.create('user 9', creation())
    t.equal(await held(), 2, 'two at each login')
    await store.create('user 8', creation())
    t.equal(await held(), 0)
    t.strictSame(await store.find('user 9', session.sid), session)
  })

  t.test('a user with a living session is not swept', async (t) => {
    const clock = new TestClock()
    const store = new MemoryStore(clock)
    await store.create('ada', creation({ idleLifetime: hour }))
    const { session } = await store.create('ada', creation())
    clock.pass(hour)
    for (let i = 0; i < 3; i++) await store.create('eve', creation())
    t.strictSame(await store.list('ada'), [session])
  })
})

t.test('RedisStore', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  const shared = new RedisStore(client)
  const pass = async (ms: number) => await age(client, ms)

  holdToContract(t, 'RedisStore', () => ({ store: shared, pass }))

  t.test('after a login the TTL of a key is the end of the session that lives longest', async (t) => {
    await client.flushall()
    const store = new RedisStore(client, { prefix: 'app:' })
    const ttl = async () => await client.pexpiretime('app:{u}')
    const { session: short } = await store.create('u', creation({ idleLifetime: hour }), timeout)
    t.equal(await ttl(), short.expiresAt)
    const { session: long } = await store.create('u', creation({ idleLifetime: day }), timeout)
    t.equal(await ttl(), long.expiresAt)
    await store.rotate('u', rotation(short.sid, 1, { idleLifetime: hour }), timeout)
    t.equal(await ttl(), long.expiresAt)
    await store.end('u', long.sid, timeout)
    t.ok(await ttl() > 0)
    await age(client, 2 * hour)
    const { session: third } = await store.create('u', creation({ idleLifetime: minute }), timeout)
    t.equal(await ttl(), third.expiresAt, 'a login removes what has run out, and its TTL')
    t.equal(await client.hlen('app:{u}'), 1)
    t.strictSame(await client.keys('*'), ['app:{u}'], 'one key for each user')
    await store.end('u', third.sid, timeout)
    t.strictSame(await client.keys('*'), [], 'none is left when the last session has ended')
  })

  t.test('a key is kept for as long as each of its sessions, and not past the last deadline', async (t) => {
    const store = new RedisStore(client)
    const lifetimes = fc.constantFrom(10_007, minute, hour, day, 14 * day)
    const spentOn = fc.constantFrom('issue' as const, 'use' as const)
    const passing = fc.integer({ min: 0, max: 17 })
    const step = fc.record({ which: fc.nat(2), idleLifetime: lifetimes, pass: passing, spentOn })
    // A login clears away what has run out, and sets the TTL anew.
    const cleared = (
      [
        [1, day, 0],
        [1, day, 1],
        [0, minute, 16],
        [1, day, 0],
        [2, minute, 8],
        [1, day, 0]
      ] as const
    ).map(([which, idleLifetime, pass]) => ({
      which,
      idleLifetime,
      pass,
      spentOn: 'issue' as const
    }))
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await client.flushall()
      let deadline = 0
      for (const [i, { which, idleLifetime, pass, spentOn }] of steps.entries()) {
        const [sid, lifetime] = [`session-${which}`, { idleLifetime, absoluteLifetime: 20 * day }]
        const known = await store.find('u', sid, timeout)
        const handedOutAt = Math.max(0, (store.now() ?? 0) - (known?.createdAt ?? 0) - minute)
        const given = rotation(sid, 1000 + i, { idleLifetime, spentOn, handedOutAt })
        const { outcome } = await store.rotate('u', given, timeout)
        if (outcome === 'unknown') await store.create('u', creation({ sid, ...lifetime }), timeout)
        const sessions = await store.list('u', timeout)
        deadline = Math.max(deadline, ...sessions.map(({ deadline }) => deadline))
        const kept = await client.pexpiretime('jwt:{u}')
        const last = Math.max(...sessions.map(({ expiresAt }) => expiresAt))
        if (kept < last) throw new Error(`kept ${last - kept} ms too short`)
        if (kept > deadline) throw new Error(`kept ${kept - deadline} ms past the last deadline`)
        const ms = Math.floor(idleLifetime * pass / 16)
        await age(client, ms)
        deadline -= ms
      }
    }), { numRuns: 150, examples: [[cleared]] })
    t.pass('over 150 histories')
  })

  t.test('most rotations leave the TTL of their key alone', async (t) => {
    const holder = await Holder.login(shared, 'a day')
    let touched = 0
    for (let i = 0; i < 48; i++) {
      await age(client, 30 * minute)
      await client.config('RESETSTAT')
      await holder.refresh('rotated')
      const stats = await client.info('commandstats')
      touched += Number(/cmdstat_pexpireat:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    }
    t.equal(touched, 2, 'in a day of 48 rotations')
  })

  t.test('a session takes the bytes of its content and 28 more, bound ones a field of 12', async (t) => {
    const at = async (field: string) => await client.hstrlen('jwt:{u}', field)
    await client.flushall()
    const holder = await Holder.login(shared, 'u', {}, { content: 'c'.repeat(36) })
    t.equal(await at(holder.sid), 64)
    for (let i = 0; i < 3; i++) {
      const { token } = holder
      const { next } = await holder.refresh('rotated')
      await holder.refresh('repeated', token)
      holder.token = next
      await age(client, hour)
    }
    await holder.refresh('offered', holder.token, { spentOn: 'use' })
    t.equal(await at(holder.sid), 64, 'whatever has been presented')
    t.equal(await client.object('ENCODING', 'jwt:{u}'), 'listpack', 'which keeps it small')
    await client.config('RESETSTAT')
    await holder.refresh('rotated')
    t.match(await client.info('commandstats'), /cmdstat_hget:calls=1,/, 'nothing more is read')
    await shared.bind('u', { sid: holder.sid, boundTo: 'ThumbprintOfMine' }, timeout)
    t.strictSame([await at(holder.sid), await at(`${holder.sid}!`)], [64, 12])
    await holder.refresh('rotated', holder.token, {
      proof: 'ThumbprintOfMine', content: { from: 'c'.repeat(36), to: 'new' }
    })
    t.strictSame([await at(holder.sid), await at(`${holder.sid}!`)], [31, 12])
    t.equal(await client.object('ENCODING', 'jwt:{u}'), 'listpack', 'which is as small')
    t.equal((await shared.list('u', timeout)).length, 1, 'and no session')
  })

  t.test('in a burst a session has one field more, until the first rotation after it', async (t) => {
    await client.flushall()
    const holder = await Holder.login(shared, 'u')
    const other = await Holder.login(shared, 'u')
    const fields = async () => (await client.hkeys('jwt:{u}')).sort()
    const sids = [holder.sid, other.sid].sort()
    const mark = `${holder.sid}:`
    for (let i = 0; i < 3; i++) {
      await age(client, 12 * second)
      await holder.refresh('rotated')
    }
    t.strictSame(await fields(), sids)
    for (let i = 0; i < 50; i++) {
      await holder.refresh('rotated')
      await age(client, 500)
    }
    t.strictSame(await fields(), [...sids, mark].sort())
    t.equal(await client.hstrlen('jwt:{u}', mark), 62, 'ten marks')
    t.equal((await shared.list('u', timeout)).length, 2, 'which are no session')
    t.equal((await shared.create('u', creation({ maxSessions: 3 }), timeout)).ended.length, 0)
    await age(client, 20 * second)
    await client.config('RESETSTAT')
    await holder.refresh('rotated')
    t.notOk((await fields()).includes(mark))
    t.match(await client.info('commandstats'), /cmdstat_hget:calls=1,/, 'it is not read for that')
    await age(client, 20 * second)
    await client.config('RESETSTAT')
    await holder.refresh('rotated')
    t.notMatch(await client.info('commandstats'), /cmdstat_hdel:/, 'nor looked for out of a burst')
    t.equal(await client.object('ENCODING', 'jwt:{u}'), 'listpack')
  })

  t.test('what ends a bound session in a burst leaves nothing of it', async (t) => {
    const replaced = creation({ maxSessions: 1 })
    const endings: Record<string, (holder: Holder) => Promise<unknown>> = {
      end: async ({ sid }) => await shared.end('u', sid, timeout),
      endAll: async () => await shared.endAll('u', {}, timeout),
      create: async () => {
        await shared.create('u', replaced, timeout)
        await shared.end('u', replaced.sid, timeout)
      },
      reuse: async (holder) => await holder.expect('reused', { generation: 1, at: 0 }),
      witness: async ({ sid }) => {
        const witness = presentation(sid, 1, { proof: 'ThumbprintOfMine' })
        t.match(await shared.endAll('u', { witness }, timeout), { outcome: 'reused' })
      },
      stale: async () => {
        await shared.create('u', creation({ idleLifetime: 30 * day }), timeout)
        await age(client, 15 * day)
        await shared.create('u', replaced, timeout)
        await shared.end('u', replaced.sid, timeout)
      },
      confirm: async ({ sid }) => {
        const replication = shared.replication()
        await replication.confirm([{ userTag: 'u', sids: [sid] }], 0, timeout)
        replication.close()
      }
    }
    for (const [name, end] of Object.entries(endings)) {
      await client.flushall()
      const holder = await Holder.login(shared, 'u', { proof: 'ThumbprintOfMine' })
      await shared.bind('u', { sid: holder.sid, boundTo: 'ThumbprintOfMine' }, timeout)
      for (let i = 0; i < 3; i++) await holder.refresh('rotated')
      t.equal(await client.hlen('jwt:{u}'), 3, name)
      if (name === 'reuse' || name === 'witness') await age(client, 20 * second)
      await end(holder)
      t.strictSame(await client.keys('*'), [], name)
    }
  })

  t.test('what is no session is skipped and removed by every script that finds it', async (t) => {
    const long = 'garbage, and long enough to be taken for a session'
    // Fields that could be a session but for one member.
    const holder = await Holder.login(shared, 'pattern')
    const good = await client.hgetBuffer('jwt:{pattern}', holder.sid) as Buffer
    const change = (at: number, ...bytes: number[]) =>
      Buffer.concat([good.subarray(0, at), Buffer.of(...bytes), good.subarray(at + bytes.length)])
    const bad = {
      empty: '',
      short: 'garbage',
      long,
      late: change(4, 0x7f),
      wrong: change(15, 0x70),
      bound: change(0, 128),
      misbound: change(0, 128)
    }
    const steps: Record<string, (store: Store, sid: string) => Promise<unknown>> = {
      list: async (store) => t.equal((await store.list('u', timeout)).length, 1),
      create: async (store) =>
        t.strictSame((await store.create('u', creation(), timeout)).ended, []),
      endAll: async (store) =>
        t.match(await store.endAll('u', { except: 'good' }, timeout), {
          outcome: 'done',
          ended: []
        }),
      find: async (store, sid) => t.equal(await store.find('u', sid, timeout), undefined),
      rotate: async (store, sid) =>
        t.strictSame(await store.rotate('u', rotation(sid, 1), timeout), { outcome: 'unknown' }),
      end: async (store, sid) => t.equal(await store.end('u', sid, timeout), undefined),
      update: async (store, sid) =>
        t.equal(await store.update('u', { sid, from: '', to: '' }, timeout), undefined),
      bind: async (store, sid) =>
        t.equal(await store.bind?.('u', { sid, boundTo: 'ThumbprintOfMine' }, timeout), undefined),
      witness: async (store, sid) =>
        t.strictSame(await store.endAll('u', { witness: presentation(sid, 1) }, timeout), {
          outcome: 'unknown'
        })
    }
    for (const [verb, step] of Object.entries(steps)) {
      for (const [sid, bytes] of Object.entries(bad)) {
        await client.flushall()
        await shared.create('u', creation({ sid: 'good' }), timeout)
        await client.hset('jwt:{u}', sid, bytes)
        if (sid === 'misbound') await client.hset('jwt:{u}', `${sid}!`, 'short')
        await step(shared, sid)
        const left = (await client.hkeys('jwt:{u}')).filter((field) => field.startsWith(sid))
        t.strictSame(left, [], `${verb} removes what is ${sid}`)
        t.ok(await shared.find('u', 'good', timeout))
      }
    }
  })

  t.test('a server without memory ends nobody for a login that it refuses, and rotates nothing', async (t) => {
    await client.flushall()
    const store = new RedisStore(client)
    const sids: string[] = []
    for (let i = 0; i < 3; i++) {
      const idleLifetime = i === 0 ? minute : day
      sids.push((await store.create('u', creation({ idleLifetime }), timeout)).session.sid)
    }
    await age(client, hour)
    const holder = await Holder.login(store, 'v')
    await holder.refresh('rotated')
    const before = await holder.find()
    await client.config('SET', 'maxmemory', '1')
    const more = { maxSessions: 1, replaces: sids[2] }
    await t.rejects(store.create('u', creation(more), timeout), { message: /OOM/ })
    await t.rejects(store.create('new', creation(), timeout), { message: /OOM/ })
    await t.rejects(holder.present(), { message: /OOM/ })
    await client.config('SET', 'maxmemory', '0')
    t.strictSame(
      (await store.list('u', timeout)).map(({ sid }) => sid).sort(),
      sids.slice(1).sort()
    )
    t.strictSame((await client.keys('*')).filter((key) => !key.startsWith('jwt:{v}')), ['jwt:{u}'])
    t.strictSame(await holder.find(), before)
    await holder.refresh('rotated')
  })

  t.test('a login whose TTL cannot be set leaves nothing', async (t) => {
    await client.flushall()
    await client.acl('SETUSER', 'noexpire', 'on', 'nopass', '~*', '&*', '+@all', '-pexpireat')
    const store = new RedisStore(server.client({ username: 'noexpire', password: 'any' }))
    await t.rejects(store.create('u', creation(), timeout), {
      message: /may not run PEXPIREAT/
    })
    t.strictSame(await client.keys('*'), [])
    const holder = await Holder.login(shared, 'u', {}, { idleLifetime: minute })
    const other = new RedisStore(server.client({ username: 'noexpire', password: 'any' }))
    await t.rejects(other.rotate('u', rotation(holder.sid, 1), timeout), {
      message: /may not run PEXPIREAT/
    })
    t.match(await holder.find(), { generation: 1 }, 'nor does such a rotation')
  })

  t.test('a step is one round trip', async (t) => {
    const store = new RedisStore(client)
    await store.open(timeout)
    const seen = await monitor(server)
    const { session: { sid } } = await store.create('u', creation(), timeout)
    await store.find('u', sid, timeout)
    await store.list('u', timeout)
    await store.rotate('u', rotation(sid, 1), timeout)
    await store.rotate('u', rotation(sid, 2), timeout)
    await store.rotate('u', rotation(sid, 1), timeout)
    await store.update('u', { sid, from: '', to: '' }, timeout)
    await store.bind('u', { sid, boundTo: 'ThumbprintOfMine' }, timeout)
    await store.end('u', sid, timeout)
    await store.endAll('u', { witness: { sid } }, timeout)
    t.strictSame((await seen.flush()).map(([name]) => name), Array(10).fill('evalsha'))
  })

  t.test('a dozen stores share a client, and Node warns of no leak', async (t) => {
    const warnings: Error[] = []
    const note = (warning: Error): void => { warnings.push(warning) }
    process.on('warning', note)
    t.teardown(() => { process.off('warning', note) })
    const sleeping = server.client({ lazyConnect: true })
    const stores = Array.from({ length: 12 }, (_, i) => new RedisStore(sleeping, { prefix: `${i}:` }))
    const opened = stores.map(async (store) => await store.open(timeout))
    await t.resolves(Promise.all(opened), 'each hears that the connection is ready')
    await new Promise(setImmediate) // Node warns in a turn of its own
    t.strictSame(warnings, [])
  })

  t.test('scripts that the server has forgotten go unnoticed', async (t) => {
    await client.script('FLUSH')
    const { session: { sid } } = await shared.create('u', creation(), timeout)
    await client.script('FLUSH')
    t.match(await shared.rotate('u', rotation(sid, 1), timeout), { outcome: 'rotated' })
  })

  t.test('errors of the server are reported, without the arguments of the command', async (t) => {
    await client.set('jwt:{u}', 'not a hash')
    const store = boundStore(shared, timeout, nobody)
    const error = await store
      .create('u', creation({ content: 'private' }))
      .catch((error: Error) => error)
    t.match(error, { code: 'STORE_UNAVAILABLE', statusCode: 503, reason: /WRONGTYPE/ })
    t.notMatch(JSON.stringify(Object.entries(error)), /private/)
    await client.flushall()
  })

  t.test('a client holds no store that nobody else holds, and asks nothing more for it', async (t) => {
    const client = server.client()
    await client.ping()
    const stores = Array.from({ length: 20 }, () => new WeakRef(new RedisStore(client)))
    const kept = new RedisStore(client)
    t.equal(await countReachable(stores), 0)
    const seen = await monitor(server)
    client.disconnect(true)
    t.strictSame(await kept.list('u', timeout), [])
    const infos = (await seen.flush()).filter(([name]) => name === 'info')
    t.ok(infos.length <= 2, `${infos.length} times: the client's own, and one of the store`)
  })

  t.test('a sleeping client is woken', async (t) => {
    const store = new RedisStore(server.client({ lazyConnect: true }))
    t.strictSame(await store.list('u', timeout), [])
  })

  t.test('any prefix is kept to, in keys and in channels', async (t) => {
    for (const prefix of ['', 'my:', 'it\'s "\\\n\0☎]]1', '𝄞%$&']) {
      await client.flushall()
      const store = new RedisStore(server.client(), { prefix })
      await store.create('u', creation({ sid: 'the session' }), timeout)
      t.strictSame(await client.keys('*'), [`${prefix}{u}`])
      t.equal(await new Promise<string>((resolve) => {
        const listening = () => { store.end('u', 'the session', timeout) }
        t.teardown(store.listen({ ended: resolve, lost: () => {}, listening }))
      }), 'the session')
      t.strictSame(await client.keys('*'), [])
    }
  })

  t.test('keyPrefix of the client is kept to', async (t) => {
    await client.flushall()
    const store = new RedisStore(server.client({ keyPrefix: 'mine:' }))
    const holder = await Holder.login(store, 'u')
    await holder.refresh('rotated')
    t.strictSame(await client.keys('*'), ['mine:jwt:{u}'])
    await client.flushall()
  })
})

t.test('a script is sent as it is documented', async (t) => {
  const scripts = createScripts('jwt:ended')
  for (const [name, { lua, sha }] of Object.entries(scripts)) {
    t.match(sha, /^[0-9a-f]{40}$/)
    t.notMatch(
      lua,
      /\$\{|undefined|NaN|\[object|function rotate|=>/,
      `${name} has nothing unresolved`
    )
    t.match(lua, /^local call/)
    t.match(lua, /'jwt:ended'/.test(lua) ? /PUBLISH/ : /HGET/)
  }
  const used = (lua: string) =>
    [...new Set([...lua.matchAll(/ARGV\[(\w+)/g)].map(([, name]) => name))].sort()
  t.strictSame(
    Object.fromEntries(
      Object.entries(scripts).map(([name, { lua }]) => [name, used(lua).join(' ')])
    ),
    {
      create: '1 2 3 4 5 6 7 8',
      find: '1 2',
      list: '1',
      rotate: '1 2 3 4 first',
      update: '1 2 3 4',
      end: '1 2',
      endAll: '1 2 3 4 5 6 7 8',
      bind: '1 2 3'
    }
  )
})

t.test('a memory store forgets what has run out, whoever logs in', async (t) => {
  const clock = new TestClock()
  const store = new MemoryStore(clock)
  const expired: Array<WeakRef<object>> = []
  const open = async (userTag: string, sid: string, idleLifetime: number) =>
    (await store.create(userTag, creation({ sid, idleLifetime }))).session
  // Two that live stand before all others, and one user has a session that lives.
  for (const userTag of ['first', 'second', 'ada']) await open(userTag, `${userTag}'s`, day)
  for (let i = 0; i < 50; i++) {
    for (const userTag of ['ada', `user-${i}`]) {
      expired.push(new WeakRef(await open(userTag, `${userTag} ${i}`, second)))
    }
    clock.pass(minute)
  }
  for (let i = 0; i < 60; i++) await open('bob', 'his only one', hour)
  await open('ada', 'the last', hour)
  t.equal(await countReachable(expired), 0)
  for (const userTag of ['first', 'second']) t.equal((await store.list(userTag)).length, 1)
  t.equal((await store.list('ada')).length, 2)
})
