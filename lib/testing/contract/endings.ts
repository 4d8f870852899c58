import assert from 'node:assert/strict'
import type { EndedAll, SessionRecord, Store } from '../../store/store'
import {
  creation,
  Holder,
  minute,
  presentation,
  rotation,
  second,
  sidsOf,
  timeout,
  type Declare
} from './subject'

const login = async (store: Store, user: string): Promise<SessionRecord> =>
  (await store.create(user, creation(), timeout)).session

const endedBy = (result: EndedAll): string[] =>
  result.outcome === 'done' ? sidsOf(result.ended) : [result.outcome]

/** What a store promises of endings. */
export function endings (test: Declare): void {
  test('a session that was ended never comes back', async ({ store }, user) => {
    const session = await login(store, user)
    const { sid } = session
    assert.deepEqual(await store.end(user, sid, timeout), session)
    assert.equal(await store.end(user, sid, timeout), undefined)
    assert.equal(
      await store.update(user, { sid, from: session.content, to: '' }, timeout),
      undefined
    )
    assert.deepEqual(await store.rotate(user, rotation(sid, 1), timeout), { outcome: 'unknown' })
    assert.deepEqual(
      await store.rotate(user, rotation(sid, 9), timeout),
      { outcome: 'unknown' },
      'nor by a lost write'
    )
    assert.deepEqual(await store.list(user, timeout), [])
  })

  test('all sessions of a user end, except one', async ({ store, pass }, user) => {
    const sids: string[] = []
    for (let i = 0; i < 3; i++) {
      sids.push((await login(store, user)).sid)
      await pass(minute)
    }
    const bystander = await login(store, `${user}2`)
    assert.deepEqual(endedBy(await store.endAll(user, { except: sids[1] }, timeout)), [
      sids[0],
      sids[2]
    ])
    assert.deepEqual(sidsOf(await store.list(user, timeout)), [sids[1]])
    assert.deepEqual(endedBy(await store.endAll(user, {}, timeout)), [sids[1]])
    assert.deepEqual(await store.list(user, timeout), [])
    assert.ok(await store.find(`${user}2`, bystander.sid, timeout))
  })

  test('a witness that has ended ends nothing', async ({ store }, user) => {
    const [first, second] = [await login(store, user), await login(store, user)]
    await store.end(user, first.sid, timeout)
    for (const witness of [{ sid: first.sid }, presentation(first.sid, 1)]) {
      assert.deepEqual(await store.endAll(user, { witness }, timeout), { outcome: 'unknown' })
    }
    assert.deepEqual(await store.endAll(user, { witness: { sid: second.sid } }, timeout), {
      outcome: 'done',
      ended: [second]
    })
  })

  for (const spentOn of ['issue', 'use'] as const) {
    test(`spent on ${spentOn}: a witness is judged as by a refresh, and is not rotated`, async (
      { store, pass }, user
    ) => {
      const holder = await Holder.login(store, user, { spentOn })
      await pass(minute)
      const other = await login(store, user)
      for (let i = 0; i < 3; i++) {
        await pass(minute)
        await holder.refresh(i === 0 && spentOn === 'use' ? 'offered' : 'rotated')
      }
      const { sid } = holder
      const before = await holder.find()
      const show = (generation: number, at: number) =>
        presentation(sid, generation, { handedOutAt: at, spentOn })
      const reused = await store.endAll(user, { witness: show(1, 0) }, timeout)
      assert.deepEqual(
        [reused.outcome, reused.outcome === 'reused' && reused.session],
        ['reused', before]
      )
      assert.ok(
        reused.outcome === 'reused' &&
          reused.distance === (before?.generation ?? 0) - 1 &&
          reused.streak === 0
      )
      assert.deepEqual(
        sidsOf(await store.list(user, timeout)),
        [other.sid],
        'and no other session ended'
      )

      const again = await Holder.login(store, user, { spentOn })
      const first = again.token
      await again.refresh(spentOn === 'use' ? 'offered' : 'rotated')
      if (spentOn === 'use') await again.refresh('rotated')
      const kept = await again.find()
      const repeat = presentation(again.sid, first.generation, { handedOutAt: first.at, spentOn })
      const done = await store.endAll(user, { except: again.sid, witness: repeat }, timeout)
      assert.deepEqual(endedBy(done), [other.sid], 'a repeat is good')
      assert.deepEqual(await again.find(), kept)
      const present = presentation(again.sid, again.token.generation, {
        handedOutAt: again.token.at,
        spentOn
      })
      assert.deepEqual(endedBy(await store.endAll(user, { witness: present }, timeout)), [
        again.sid
      ])
    })
  }

  test('a login above the limit ends the oldest sessions', async ({ store, pass }, user) => {
    const sids: string[] = []
    for (let i = 0; i < 3; i++) {
      sids.push((await login(store, user)).sid)
      await pass(minute)
    }
    await store.rotate(user, rotation(sids[0] ?? '', 1), timeout)
    const { session, ended } = await store.create(user, creation({ maxSessions: 2 }), timeout)
    assert.deepEqual(sidsOf(ended), sids.slice(0, 2), 'the oldest by login, not by refresh')
    assert.deepEqual(sidsOf(await store.list(user, timeout)), [sids[2], session.sid])
    for (let i = 0; i < 4; i++) {
      await store.create(user, creation({ maxSessions: Infinity }), timeout)
    }
    assert.equal((await store.list(user, timeout)).length, 6)
  })

  test('a login ends the session that it replaces, which does not count any more', async (
    { store, pass }, user
  ) => {
    const sids: string[] = []
    for (let i = 0; i < 3; i++) {
      sids.push((await login(store, user)).sid)
      await pass(second)
    }
    const replacing = async (replaces: string, maxSessions: number) => {
      const { session, ended } = await store.create(
        user,
        creation({ replaces, maxSessions }),
        timeout
      )
      await pass(second)
      sids.push(session.sid)
      return sidsOf(ended)
    }
    assert.deepEqual(await replacing(sids[1] ?? '', 3), [sids[1]])
    assert.deepEqual(await replacing(sids[2] ?? '', 2), [sids[0], sids[2]], 'the oldest first')
    assert.deepEqual(await replacing('none', 3), [])
    assert.deepEqual(sidsOf(await store.list(user, timeout)), sids.slice(3))
    const bystander = await login(store, `${user}2`)
    assert.deepEqual(await replacing(bystander.sid, 50), [], "another user's session is none")
    assert.ok(await store.find(`${user}2`, bystander.sid, timeout))
  })
}
