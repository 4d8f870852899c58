import { randomUUID } from 'node:crypto'
import { day, hour, minute, second } from './app'
import type { Creation, Rotation, Store } from '../../lib/store/store'

type Test = InstanceType<typeof import('tap').Test>

/** A store under test, and a way to let time pass for what it holds. */
export interface Subject {
  store: Store
  pass: (ms: number) => Promise<void> | void
}

export const within = 2000
export const creation = (more: Partial<Creation> = {}): Creation =>
  ({ sid: randomUUID(), signer: 'abc', text: '0ada\n\n', idleLifetime: 14 * day, absoluteLifetime: 90 * day, maxSessions: 50, ...more })
export const rotation = (sid: string, generation: number, more: Partial<Rotation> = {}): Rotation =>
  ({ sid, generation, signer: 'abc', text: undefined, idleLifetime: 14 * day, gracePeriod: 10 * second, ...more })

/** What every store promises. `subject` makes a fresh one for each test. */
export function contract (t: Test, name: string, subject: (t: Test) => Promise<Subject>): void {
  const test = (title: string, body: (t: Test, subject: Subject, user: string) => Promise<void>) => {
    t.test(`${name}: ${title}`, async (t) => await body(t, await subject(t), randomUUID()))
  }

  test('a session is found as it was created', async (t, { store }, user) => {
    const wanted = creation({ text: '0Ada Løvelace\n☎\n{"a":[],"n":9007199254740993}' })
    const { session, ended } = await store.create(user, wanted, within)
    t.strictSame(ended, [])
    t.match(session, { sid: wanted.sid, generation: 1, signer: 'abc', text: wanted.text })
    t.equal(session.refreshedAt, session.createdAt)
    t.equal(session.expiresAt, session.createdAt + 14 * day)
    t.equal(session.deadline, session.createdAt + 90 * day)
    t.strictSame(await store.find(user, wanted.sid, within), session)
    t.strictSame(await store.list(user, within), [session])
    t.ok(Math.abs((store.now() ?? 0) - session.createdAt) < minute, 'times are by the clock of the store')
  })

  test('a session is found under its own user only', async (t, { store }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    t.equal(await store.find('somebody else', sid, within), undefined)
    t.equal(await store.end('somebody else', sid, within), undefined)
    t.strictSame(await store.rotate('somebody else', rotation(sid, 1), within), { outcome: 'unknown' })
    t.ok(await store.find(user, sid, within))
  })

  test('the present generation is rotated', async (t, { store, pass }, user) => {
    const { session } = await store.create(user, creation(), within)
    await pass(hour)
    const found = await store.find(user, session.sid, within)
    const rotated = await store.rotate(user, rotation(session.sid, 1, { signer: 'efg' }), within)
    t.match(rotated, { outcome: 'rotated', distance: 0, session: { sid: session.sid, generation: 2, signer: 'efg', text: session.text } })
    if (rotated.outcome === 'unknown') return
    t.ok(rotated.msSinceRotation >= hour && rotated.msSinceRotation < hour + minute)
    t.equal(rotated.session.createdAt, found?.createdAt)
    t.equal(rotated.session.deadline, found?.deadline)
    t.ok(rotated.session.refreshedAt >= rotated.session.createdAt + hour)
    t.equal(rotated.session.expiresAt, rotated.session.refreshedAt + 14 * day)
    t.strictSame(await store.find(user, session.sid, within), rotated.session)
  })

  test('a rotation may renew the content', async (t, { store }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    t.match(await store.rotate(user, rotation(sid, 1, { text: '0ada\n\n{"role":"root"}' }), within), { session: { text: '0ada\n\n{"role":"root"}' } })
    t.match(await store.rotate(user, rotation(sid, 2), within), { session: { text: '0ada\n\n{"role":"root"}' } })
  })

  test('within the grace period the predecessor is repeated, and changes nothing', async (t, { store, pass }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    await store.rotate(user, rotation(sid, 1), within)
    await pass(9 * second)
    const before = await store.find(user, sid, within)
    for (let i = 0; i < 3; i++) {
      const repeated = await store.rotate(user, rotation(sid, 1, { text: 'other', signer: 'zzz' }), within)
      t.match(repeated, { outcome: 'repeated', distance: 1 })
      t.strictSame(repeated.outcome === 'repeated' && repeated.session, before)
    }
    t.strictSame(await store.find(user, sid, within), before)
    await pass(second)
    t.match(await store.rotate(user, rotation(sid, 1), within), { outcome: 'reused' }, 'three repeats did not extend it')
  })

  test('after the grace period the predecessor is reuse and ends the session', async (t, { store, pass }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    const { session: other } = await store.create(user, creation(), within)
    await store.rotate(user, rotation(sid, 1), within)
    await pass(10 * second)
    const reused = await store.rotate(user, rotation(sid, 1), within)
    t.match(reused, { outcome: 'reused', distance: 1, session: { sid, generation: 2 } })
    t.ok(reused.outcome === 'reused' && reused.msSinceRotation >= 10 * second)
    t.strictSame(await store.rotate(user, rotation(sid, 2), within), { outcome: 'unknown' })
    t.strictSame((await store.list(user, within)).map(({ sid }) => sid), [other.sid], 'and that session alone')
  })

  test('the grandparent is reuse even within the grace period', async (t, { store }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    await store.rotate(user, rotation(sid, 1), within)
    await store.rotate(user, rotation(sid, 2), within)
    t.match(await store.rotate(user, rotation(sid, 1), within), { outcome: 'reused', distance: 2, session: { generation: 3 } })
  })

  test('a grace period of 0 is strict single use', async (t, { store, pass }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    await store.rotate(user, rotation(sid, 1, { gracePeriod: 0 }), within)
    t.match(await store.rotate(user, rotation(sid, 1, { gracePeriod: 0 }), within), { outcome: 'reused' })
    const { session: other } = await store.create(user, creation(), within)
    await store.rotate(user, rotation(other.sid, 1, { gracePeriod: 0 }), within)
    await pass(-second)
    t.match(await store.rotate(user, rotation(other.sid, 1, { gracePeriod: 0 }), within), { outcome: 'reused' }, 'also where the clock has stepped back')
  })

  test('a generation ahead of the store is gone on with', async (t, { store }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    t.match(await store.rotate(user, rotation(sid, 4), within), { outcome: 'rotated', distance: 3, session: { generation: 5 } })
    t.match(await store.rotate(user, rotation(sid, 4), within), { outcome: 'repeated', session: { generation: 5 } })
    const high = 2 ** 32 - 2
    t.match(await store.rotate(user, rotation(sid, high), within), { outcome: 'rotated', session: { generation: high + 1 } })
  })

  test('an unknown session creates nothing', async (t, { store }, user) => {
    t.strictSame(await store.rotate(user, rotation('none', 1), within), { outcome: 'unknown' })
    t.equal(await store.end(user, 'none', within), undefined)
    t.strictSame(await store.endAll(user, {}, within), [])
    t.strictSame(await store.list(user, within), [])
  })

  test('a session ends after its idle lifetime', async (t, { store, pass }, user) => {
    const { session: { sid } } = await store.create(user, creation({ idleLifetime: hour }), within)
    await pass(hour - minute)
    t.match(await store.rotate(user, rotation(sid, 1, { idleLifetime: hour }), within), { outcome: 'rotated' })
    await pass(hour - minute)
    t.ok(await store.find(user, sid, within), 'each rotation begins it anew')
    await pass(minute)
    t.equal(await store.find(user, sid, within), undefined)
    t.strictSame(await store.list(user, within), [])
    t.strictSame(await store.rotate(user, rotation(sid, 2), within), { outcome: 'unknown' })
    t.equal(await store.end(user, sid, within), undefined)
  })

  test('an expired session is over also while another one keeps its user alive', async (t, { store, pass }, user) => {
    const { session: { sid } } = await store.create(user, creation({ idleLifetime: hour }), within)
    const { session: other } = await store.create(user, creation(), within)
    await pass(hour)
    t.equal(await store.find(user, sid, within), undefined)
    t.strictSame(await store.rotate(user, rotation(sid, 1), within), { outcome: 'unknown' })
    t.equal(await store.end(user, sid, within), undefined)
    t.strictSame((await store.list(user, within)).map(({ sid }) => sid), [other.sid])
    const { session: third } = await store.create(user, creation(), within)
    t.strictSame((await store.list(user, within)).map(({ sid }) => sid), [other.sid, third.sid])
    t.strictSame((await store.endAll(user, {}, within)).length, 2)
  })

  test('nothing extends the absolute lifetime', async (t, { store, pass }, user) => {
    const { session: { sid } } = await store.create(user, creation({ idleLifetime: hour, absoluteLifetime: 90 * minute }), within)
    await pass(50 * minute)
    const rotated = await store.rotate(user, rotation(sid, 1, { idleLifetime: hour }), within)
    t.ok(rotated.outcome === 'rotated' && rotated.session.expiresAt === rotated.session.deadline)
    await pass(40 * minute)
    t.strictSame(await store.rotate(user, rotation(sid, 2, { idleLifetime: hour }), within), { outcome: 'unknown' })
  })

  test('an idle lifetime is capped by the absolute one from the start', async (t, { store }, user) => {
    const { session } = await store.create(user, creation({ idleLifetime: 2 * hour, absoluteLifetime: hour }), within)
    t.equal(session.expiresAt, session.deadline)
  })

  test('a session that was ended is over for good', async (t, { store }, user) => {
    const { session } = await store.create(user, creation(), within)
    t.strictSame(await store.end(user, session.sid, within), session)
    t.equal(await store.end(user, session.sid, within), undefined)
    t.strictSame(await store.rotate(user, rotation(session.sid, 1), within), { outcome: 'unknown' })
    t.strictSame(await store.rotate(user, rotation(session.sid, 9), within), { outcome: 'unknown' }, 'a token from ahead does not bring it back')
    t.strictSame(await store.list(user, within), [])
  })

  test('all sessions of a user end, save the one that is excepted', async (t, { store }, user) => {
    const sids: string[] = []
    for (let i = 0; i < 3; i++) sids.push((await store.create(user, creation(), within)).session.sid)
    const bystander = await store.create(`${user}2`, creation(), within)
    t.strictSame((await store.endAll(user, { except: sids[1] }, within)).map(({ sid }) => sid).sort(), [sids[0], sids[2]].sort())
    t.strictSame((await store.list(user, within)).map(({ sid }) => sid), [sids[1]])
    t.strictSame((await store.endAll(user, {}, within)).map(({ sid }) => sid), [sids[1]])
    t.strictSame(await store.list(user, within), [])
    t.ok(await store.find(`${user}2`, bystander.session.sid, within))
  })

  test('a witness that is over ends nothing', async (t, { store }, user) => {
    const { session: first } = await store.create(user, creation(), within)
    const { session: second } = await store.create(user, creation(), within)
    await store.end(user, first.sid, within)
    t.strictSame(await store.endAll(user, { witness: first.sid }, within), [])
    t.strictSame(await store.endAll(user, { witness: second.sid }, within), [second])
  })

  test('a login above the limit ends the oldest sessions', async (t, { store, pass }, user) => {
    const sids: string[] = []
    for (let i = 0; i < 3; i++) {
      sids.push((await store.create(user, creation(), within)).session.sid)
      await pass(minute)
    }
    await store.rotate(user, rotation(sids[0] ?? '', 1), within)
    const { session, ended } = await store.create(user, creation({ maxSessions: 2 }), within)
    t.strictSame(ended.map(({ sid }) => sid), sids.slice(0, 2), 'the oldest by login, not by refresh')
    t.strictSame((await store.list(user, within)).map(({ sid }) => sid), [sids[2], session.sid])
    for (let i = 0; i < 4; i++) await store.create(user, creation({ maxSessions: Infinity }), within)
    t.equal((await store.list(user, within)).length, 6)
  })

  test('a login that is sent again opens one session and ends no other for it', async (t, { store }, user) => {
    const first = await store.create(user, creation(), within)
    const wanted = creation({ maxSessions: 2 })
    const sent = await store.create(user, wanted, within)
    const again = await store.create(user, wanted, within)
    t.strictSame(again, { session: sent.session, ended: [] })
    t.strictSame((await store.list(user, within)).map(({ sid }) => sid).sort(), [first.session.sid, wanted.sid].sort())
  })

  test('many presentations at once come to one rotation', async (t, { store }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    const outcomes = await Promise.all(Array.from({ length: 200 }, async () => await store.rotate(user, rotation(sid, 1), within)))
    t.equal(outcomes.filter(({ outcome }) => outcome === 'rotated').length, 1)
    t.equal(outcomes.filter(({ outcome }) => outcome === 'repeated').length, 199)
  })

  test('many replays at once come to one detection', async (t, { store, pass }, user) => {
    const { session: { sid } } = await store.create(user, creation(), within)
    await store.rotate(user, rotation(sid, 1), within)
    await pass(minute)
    const outcomes = await Promise.all(Array.from({ length: 50 }, async () => await store.rotate(user, rotation(sid, 1), within)))
    t.equal(outcomes.filter(({ outcome }) => outcome === 'reused').length, 1)
    t.equal(outcomes.filter(({ outcome }) => outcome === 'unknown').length, 49)
  })
}
