import assert from 'node:assert/strict'
import type { Store } from '../../store/store'
import { Holder, hour, minute, presentation, second, timeout, type Declare } from './subject'

const [mine, foreign] = ['ThumbprintOfMine', 'AAAAAAAAAAAAAAAA'] as [string, string]

const bind = async (store: Store, user: string, sid: string, boundTo: string) =>
  await store.bind?.(user, { sid, boundTo }, timeout)

/** What a store promises of sessions that are bound to a key. A store that cannot bind passes. */
export function bound (declare: Declare): void {
  const test: Declare = (title, body) => {
    declare(title, async (subject, user) => {
      if (subject.store.bind !== undefined) await body(subject, user)
    })
  }

  test('a session is bound once, to the key that comes first', async ({ store, pass }, user) => {
    const { sid, session } = await Holder.login(store, user)
    assert.equal(session.boundTo, undefined)
    assert.equal(await bind(store, user, 'none', mine), undefined)
    assert.equal(await bind(store, 'somebody else', sid, mine), undefined)
    await pass(minute)
    const before = await store.find(user, sid, timeout)
    const after = { ...before, boundTo: mine }
    assert.deepEqual(await bind(store, user, sid, mine), before, 'what it was before')
    assert.deepEqual(await store.find(user, sid, timeout), after, 'and nothing else changes')
    assert.deepEqual(await bind(store, user, sid, mine), after, 'asked again')
    assert.deepEqual(await bind(store, user, sid, foreign), after, 'and no other key')
    assert.deepEqual(await store.find(user, sid, timeout), after)
    assert.deepEqual(await store.list(user, timeout), [after])
    const updated = await store.update(user, { sid, from: session.content, to: 'other' }, timeout)
    assert.deepEqual(updated, { ...after, content: 'other' })
    assert.deepEqual(await store.end(user, sid, timeout), updated)
    assert.equal(await bind(store, user, sid, mine), undefined)
  })

  test('of many keys at once one comes first', async ({ store }, user) => {
    const { sid } = await Holder.login(store, user)
    const keys = Array.from({ length: 20 }, (_, i) => `key${String(i).padStart(13, '-')}`)
    const all = await Promise.all(keys.map(async (key) => await bind(store, user, sid, key)))
    const winner = (await store.find(user, sid, timeout))?.boundTo
    const seen = all.map((session) => session?.boundTo)
    assert.deepEqual(seen.filter((boundTo) => boundTo !== winner), [undefined])
    assert.equal(seen[keys.indexOf(winner ?? '')], undefined, 'it alone found nothing bound')
  })

  for (const spentOn of ['issue', 'use'] as const) {
    const first = spentOn === 'use' ? 'offered' : 'rotated'

    test(`spent on ${spentOn}: without its proof a bound token changes nothing`, async (
      { store, pass }, user
    ) => {
      const holder = await Holder.login(store, user, { spentOn })
      for (let i = 0; i < 3; i++) {
        await holder.refresh(i === 0 ? first : 'rotated')
        await pass(minute)
      }
      await bind(store, user, holder.sid, mine)
      const before = await holder.find()
      const generations = [1, 2, 3, 4, 9]
      for (const generation of generations) {
        for (const more of [
          {},
          { proof: foreign },
          { proof: foreign, boundTo: foreign },
          { boundTo: mine }
        ]) {
          const result = await holder.expect('unproven', { generation, at: 0 }, more)
          assert.ok(
            result.outcome === 'unproven' && result.streak === 0 && result.msSinceRotation >= minute
          )
          assert.deepEqual(
            [result.session, result.distance],
            [before, Math.abs(generation - (before?.generation ?? 0))]
          )
          const witness = presentation(holder.sid, generation, { spentOn, ...more })
          const refused = await store.endAll(user, { witness }, timeout)
          assert.ok(refused.outcome === 'unproven')
          assert.deepEqual(refused.session, before)
          assert.deepEqual(await holder.find(), before)
        }
      }
      assert.deepEqual(
        await store.rotate(
          'nobody',
          { ...presentation('none', 1), signer: 'abc', content: undefined, idleLifetime: hour },
          timeout
        ),
        { outcome: 'unknown' }
      )
    })

    test(`spent on ${spentOn}: a bound token with its proof is judged as any other`, async (
      { store, pass }, user
    ) => {
      const holder = await Holder.login(store, user, { spentOn, proof: mine })
      await bind(store, user, holder.sid, mine)
      await pass(hour)
      if (spentOn === 'use') await holder.refresh('offered')
      const { token } = holder
      const spent = spentOn === 'use' ? { generation: 1, at: 0 } : token
      const { session } = await holder.refresh('rotated', token, {
        content: { from: holder.session.content, to: 'ünd so weiter' }
      })
      assert.deepEqual(
        [session.boundTo, session.content, session.generation],
        [mine, 'ünd so weiter', 2]
      )
      const repeated = await holder.refresh('repeated', spent, { boundTo: mine })
      assert.deepEqual([repeated.session, repeated.streak], [session, 1])
      assert.deepEqual(await holder.find(), session)
      assert.equal(
        (await holder.refresh('rotated', { generation: 7, at: hour })).session.boundTo,
        mine
      )
      await pass(minute)
      const witness = presentation(holder.sid, 1, { spentOn, proof: mine })
      assert.equal((await store.endAll(user, { witness }, timeout)).outcome, 'reused')
      assert.deepEqual(await store.list(user, timeout), [])
    })

    test(`spent on ${spentOn}: a lost binding is demanded by the token, and written again`, async (
      { store, pass }, user
    ) => {
      const login = async () => {
        const holder = await Holder.login(store, user, { spentOn, boundTo: mine })
        await holder.expect('unproven', holder.token)
        await holder.expect('unproven', holder.token, { proof: foreign })
        assert.equal((await holder.find())?.boundTo, undefined)
        return holder
      }
      const one = await login()
      const { content } = one.session
      await one.refresh(first, one.token, { proof: mine })
      assert.deepEqual([(await one.find())?.boundTo, (await one.find())?.content], [mine, content])
      await one.expect('unproven', one.token, { boundTo: undefined })

      const other = await login()
      await other.refresh(first, other.token, {
        proof: mine, content: { from: content, to: 'new' }
      })
      assert.deepEqual(
        [(await other.find())?.boundTo, (await other.find())?.content],
        [mine, 'new']
      )

      const third = await Holder.login(store, user, { spentOn })
      const { token } = third
      await third.refresh(first)
      if (spentOn === 'use') await third.refresh('rotated')
      await third.refresh('repeated', token)
      await pass(second)
      const before = await third.find()
      const { session } = await third.refresh('repeated', token, { boundTo: mine, proof: mine })
      assert.deepEqual(session, { ...before, boundTo: mine }, 'by a repeat as well')
      assert.deepEqual(await third.find(), session)
    })

    test(`spent on ${spentOn}: a proof that nobody asks for binds nothing`, async (
      { store }, user
    ) => {
      const holder = await Holder.login(store, user, { spentOn, proof: mine })
      assert.equal((await holder.refresh(first)).session.boundTo, undefined)
    })
  }
}
