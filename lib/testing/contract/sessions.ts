import assert from 'node:assert/strict'
import { creation, day, hour, minute, rotation, sidsOf, timeout, type Declare } from './subject'

/** What a store promises of sessions, whatever is presented. */
export function sessions (test: Declare): void {
  test('a session is found as it was created', async ({ store }, user) => {
    const wanted = creation({ content: '0Ada Løvelace\n☎\n{"a":[],"n":9007199254740993}' })
    const { session, ended } = await store.create(user, wanted, timeout)
    assert.deepEqual(ended, [])
    const { sid, signer, content } = wanted
    const { createdAt } = session
    const times = {
      createdAt,
      refreshedAt: createdAt,
      expiresAt: createdAt + 14 * day,
      deadline: createdAt + 90 * day
    }
    assert.deepEqual(session, { sid, generation: 1, signer, content, ...times })
    assert.deepEqual(await store.find(user, sid, timeout), session)
    assert.deepEqual(await store.list(user, timeout), [session])
    assert.ok(
      Math.abs((store.now() ?? 0) - createdAt) < minute,
      'times are by the clock of the store'
    )
  })

  test('a session is found under its own user only', async ({ store }, user) => {
    const {
      session: { sid }
    } = await store.create(user, creation(), timeout)
    const other = 'somebody else'
    assert.equal(await store.find(other, sid, timeout), undefined)
    assert.equal(await store.end(other, sid, timeout), undefined)
    assert.equal(await store.update(other, { sid, from: '0ada\n\n', to: '' }, timeout), undefined)
    assert.deepEqual(await store.rotate(other, rotation(sid, 1), timeout), { outcome: 'unknown' })
    assert.deepEqual(await store.endAll(other, { witness: { sid } }, timeout), {
      outcome: 'unknown'
    })
    assert.ok(await store.find(user, sid, timeout))
  })

  test('an unknown session creates nothing', async ({ store }, user) => {
    assert.deepEqual(await store.rotate(user, rotation('none', 1), timeout), { outcome: 'unknown' })
    assert.equal(await store.end(user, 'none', timeout), undefined)
    assert.equal(await store.update(user, { sid: 'none', from: '', to: '' }, timeout), undefined)
    assert.deepEqual(await store.endAll(user, {}, timeout), { outcome: 'done', ended: [] })
    assert.deepEqual(await store.list(user, timeout), [])
  })

  test('a session ends after its idle lifetime', async ({ store, pass }, user) => {
    const idle = { idleLifetime: hour }
    const {
      session: { sid }
    } = await store.create(user, creation(idle), timeout)
    await pass(hour - minute)
    assert.equal((await store.rotate(user, rotation(sid, 1, idle), timeout)).outcome, 'rotated')
    await pass(hour - minute)
    assert.ok(await store.find(user, sid, timeout), 'each rotation begins it anew')
    await pass(minute)
    assert.equal(await store.find(user, sid, timeout), undefined)
    assert.deepEqual(await store.list(user, timeout), [])
    assert.deepEqual(await store.rotate(user, rotation(sid, 2), timeout), { outcome: 'unknown' })
    assert.equal(await store.end(user, sid, timeout), undefined)
  })

  test('an expired session has ended also while another one keeps its user', async (
    { store, pass }, user
  ) => {
    const {
      session: { sid }
    } = await store.create(user, creation({ idleLifetime: hour }), timeout)
    const { session: other } = await store.create(user, creation(), timeout)
    await pass(hour)
    assert.equal(await store.find(user, sid, timeout), undefined)
    assert.deepEqual(await store.rotate(user, rotation(sid, 1), timeout), { outcome: 'unknown' })
    assert.equal(await store.end(user, sid, timeout), undefined)
    assert.equal(await store.update(user, { sid, from: '0ada\n\n', to: '' }, timeout), undefined)
    assert.deepEqual(sidsOf(await store.list(user, timeout)), [other.sid])
    const { session: third } = await store.create(user, creation(), timeout)
    assert.deepEqual(sidsOf(await store.list(user, timeout)), [other.sid, third.sid])
    const { outcome, ended } = (await store.endAll(user, {}, timeout)) as {
      outcome: string
      ended: unknown[]
    }
    assert.deepEqual([outcome, ended.length], ['done', 2])
  })

  test('nothing extends the absolute lifetime', async ({ store, pass }, user) => {
    const idle = { idleLifetime: hour }
    const {
      session: { sid }
    } = await store.create(user, creation({ ...idle, absoluteLifetime: 90 * minute }), timeout)
    await pass(50 * minute)
    const rotated = await store.rotate(user, rotation(sid, 1, idle), timeout)
    assert.ok(
      rotated.outcome === 'rotated' && rotated.session.expiresAt === rotated.session.deadline
    )
    await pass(40 * minute)
    assert.deepEqual(await store.rotate(user, rotation(sid, 2, idle), timeout), {
      outcome: 'unknown'
    })
  })

  test('an idle lifetime is capped by the absolute one from the start', async ({ store }, user) => {
    const lifetimes = { idleLifetime: 2 * hour, absoluteLifetime: hour }
    const { session } = await store.create(user, creation(lifetimes), timeout)
    assert.equal(session.expiresAt, session.deadline)
  })

  test('each rotation has an idle lifetime of its own', async ({ store }, user) => {
    const all = [minute, hour, day, hour]
    const sids: string[] = []
    for (const idleLifetime of all) {
      sids.push((await store.create(user, creation({ idleLifetime }), timeout)).session.sid)
    }
    const outcomes = await Promise.all(
      all.map(
        async (idleLifetime, i) =>
          await store.rotate(user, rotation(sids[i] ?? '', 1, { idleLifetime }), timeout)
      )
    )
    const lifetimes = outcomes.map((result) =>
      result.outcome === 'rotated'
        ? result.session.expiresAt - result.session.refreshedAt
        : result.outcome
    )
    assert.deepEqual(lifetimes, all)
  })

  test('content is replaced only if it is still what it was', async ({ store, pass }, user) => {
    const { session } = await store.create(user, creation({ content: 'first' }), timeout)
    const { sid } = session
    await pass(minute)
    const before = await store.find(user, sid, timeout)
    const changed = await store.update(user, { sid, from: 'first', to: 'sécond' }, timeout)
    assert.deepEqual(changed, { ...before, content: 'sécond' }, 'and nothing else')
    assert.deepEqual(
      await store.update(user, { sid, from: 'first', to: 'third' }, timeout),
      changed
    )
    assert.deepEqual(await store.find(user, sid, timeout), changed)
    assert.equal((await store.update(user, { sid, from: 'sécond', to: '' }, timeout))?.content, '')
    const updates = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, i) => await store.update(user, { sid, from: '', to: `update ${i}` }, timeout)
      )
    )
    assert.equal(
      new Set(updates.map((session) => session?.content)).size,
      1,
      'of many at once one comes first'
    )
  })

  test('a login that is sent again creates one session and ends no other for it', async (
    { store }, user
  ) => {
    const first = await store.create(user, creation(), timeout)
    const wanted = creation({
      maxSessions: 2,
      replaces: (await store.create(user, creation(), timeout)).session.sid
    })
    const sent = await store.create(user, wanted, timeout)
    const again = await store.create(user, wanted, timeout)
    assert.deepEqual(again, { session: sent.session, ended: [] })
    assert.deepEqual(
      sidsOf(await store.list(user, timeout)).sort(),
      [first.session.sid, wanted.sid].sort()
    )
  })
}
