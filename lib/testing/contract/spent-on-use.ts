import assert from 'node:assert/strict'
import type { HandedOut } from '../../store/store'
import { day, Holder, hour, minute, second, timeout, type Declare } from './subject'

const use = { spentOn: 'use' as const }

/** What presenting a token comes to if tokens are spent when their successor is used. */
export function spentOnUse (test: Declare): void {
  test('a token that is current is offered its successor, and nothing is spent', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    const first = holder.token
    for (let i = 0; i < 4; i++) {
      await pass(day)
      const content = { from: holder.session.content, to: 'other' }
      const more = i === 2 ? { content, signer: 'efg' } : {}
      const { session, next, distance, streak } = await holder.refresh('offered', first, more)
      const now = store.now() ?? 0
      assert.deepEqual([session.generation, next.generation, distance, streak], [1, 2, 0, 0])
      assert.ok(
        Math.abs(next.at - (now - session.createdAt)) < minute,
        'an offer names the moment of its own'
      )
      assert.ok(
        Math.abs(session.expiresAt - now - 14 * day) < minute,
        'the idle lifetime begins again'
      )
      assert.equal(session.refreshedAt, session.createdAt)
      assert.deepEqual(
        [session.content, session.signer],
        i < 2 ? ['0ada\n\n', 'abc'] : ['other', i === 2 ? 'efg' : 'abc']
      )
      assert.deepEqual(await holder.find(), session)
    }
    await pass(13 * day)
    assert.ok(await holder.find())
  })

  test('content that was made from another than the present one is never written', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    const first = holder.token
    const content = { from: 'another', to: 'new' }
    await pass(minute)
    const before = await holder.find()
    assert.deepEqual(
      await holder.present(first, { content }),
      { outcome: 'changed', session: before }
    )
    assert.deepEqual(await holder.find(), before)
    const { next } = await holder.refresh('offered')
    const offered = await holder.find()
    assert.deepEqual(
      await holder.present(next, { content }),
      { outcome: 'changed', session: offered }
    )
    assert.deepEqual(await holder.find(), offered)
    await holder.refresh('rotated', next, { content: { from: 'another', to: '0ada\n\n' } })
  })

  test('an offer is taken when it comes back', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user, use)
    await pass(hour)
    const offer = (await holder.refresh('offered')).next
    await pass(hour)
    const { session, next, distance, msSinceRotation } = await holder.refresh('rotated', offer)
    assert.deepEqual([session.generation, session.refreshedAt], [2, session.createdAt + offer.at])
    assert.deepEqual([next.generation, distance], [3, 1])
    assert.ok(next.at >= 2 * hour && next.at < 2 * hour + minute)
    assert.ok(msSinceRotation >= 2 * hour && msSinceRotation < 2 * hour + minute)
    assert.deepEqual(await holder.find(), session)
    for (let i = 3; i < 8; i++) {
      await pass(hour)
      assert.equal((await holder.refresh('rotated')).session.generation, i)
    }
  })

  test('a copy that was handed out within the grace period of the current one is let in', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    await pass(hour)
    const copies: HandedOut[] = []
    for (let i = 0; i < 4; i++) {
      copies.push((await holder.refresh('offered', { generation: 1, at: 0 })).next)
      await pass(6 * second)
    }
    const [early, current, late, tooLate] = copies as [HandedOut, HandedOut, HandedOut, HandedOut]
    await pass(hour)
    await holder.refresh('rotated', current)
    for (const copy of [early, late, current, late]) {
      const { session } = await holder.refresh('offered', copy)
      assert.equal(
        session.refreshedAt,
        session.createdAt + current.at,
        'which stays the copy that was taken first'
      )
    }
    const reused = await holder.expect('reused', tooLate)
    assert.ok(reused.outcome === 'reused' && reused.distance === 0)
    assert.deepEqual(await store.list(user, timeout), [])
  })

  test('another copy of the current generation is reuse', async ({ store, pass }, user) => {
    for (const apart of [10 * second, hour]) {
      const holder = await Holder.login(store, user, use)
      const { next: one } = await holder.refresh('offered')
      await pass(apart)
      const { next: other } = await holder.refresh('offered', { generation: 1, at: 0 })
      await holder.refresh('rotated', other)
      await holder.expect('reused', one)
    }
  })

  test('a token that is spent is repeated within the grace period of its successor', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    const first = holder.token
    await pass(hour)
    const offer = (await holder.refresh('offered')).next
    await pass(4 * second)
    await holder.refresh('rotated', offer)
    await pass(5 * second)
    const before = await holder.find()
    const { next, distance, session } = await holder.refresh('repeated', first)
    assert.deepEqual([next, distance, session], [offer, 1, before], 'with the copy that was taken')
    await holder.refresh('offered')
    await pass(second)
    await holder.expect('reused', first)
  })

  test('a lost answer costs nothing, however late', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user, use)
    for (let i = 0; i < 5; i++) {
      const { token } = holder
      for (let lost = 0; lost < 3; lost++) {
        await pass(day)
        await holder.refresh(i === 0 || lost > 0 ? 'offered' : 'rotated', token)
      }
    }
    assert.equal((await holder.find())?.generation, 5)
  })

  test('two holders of one token are found out when the second takes his offer', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    await pass(hour)
    const { next: mine } = await holder.refresh('offered', { generation: 1, at: 0 })
    await pass(minute)
    const { next: stolen } = await holder.refresh('offered', { generation: 1, at: 0 })
    await pass(hour)
    await holder.refresh('rotated', mine)
    await pass(hour)
    await holder.expect('reused', stolen)
  })

  test('in a burst every generation is repeated within the grace period of its successor', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    await pass(hour)
    const taken: HandedOut[] = [holder.token]
    await holder.refresh('offered')
    for (let i = 0; i < 45; i++) {
      await pass(200)
      taken.push(holder.token)
      await holder.refresh('rotated')
    }
    const current = taken.pop()
    for (const token of taken) {
      assert.deepEqual((await holder.refresh('repeated', token)).next, current)
    }
    await pass(2 * second)
    // The successor of the first was handed out 11 s ago, that of the 20th 7 s ago.
    await holder.expect('repeated', taken[20] ?? (taken[0] as HandedOut))
    await pass(second)
    await holder.expect('reused', taken[0] as HandedOut)
  })

  test('many presentations at once are all let in', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user, use)
    for (const outcome of ['offered', 'rotated'] as const) {
      await pass(hour)
      const { token } = holder
      const outcomes = await Promise.all(
        Array.from({ length: 200 }, async () => await holder.present(token))
      )
      assert.equal(
        outcomes.filter((result) => result.outcome === outcome).length,
        outcome === 'offered' ? 200 : 1
      )
      assert.equal(
        outcomes.filter((result) => result.outcome === 'offered').length,
        outcome === 'offered' ? 200 : 199
      )
      const tokens = outcomes.map((result) => ('next' in result ? result.next : holder.token))
      await pass(minute)
      await holder.refresh('rotated', tokens[7])
      for (const token of tokens.slice(0, 20)) await holder.refresh('offered', token)
    }
  })

  test('with a grace period of 0 only the very copy is current', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user, { ...use, gracePeriod: 0 })
    const first = holder.token
    await pass(hour)
    const { next: one } = await holder.refresh('offered', first)
    await pass(5)
    const { next: other } = await holder.refresh('offered', first)
    await holder.refresh('rotated', other)
    await holder.refresh('offered', other)
    await holder.expect('reused', one)
    const again = await Holder.login(store, user, { ...use, gracePeriod: 0 })
    const spent = again.token
    await again.refresh('offered')
    await again.refresh('rotated')
    await again.expect('reused', spent)
  })

  test('a generation two ahead of the store is gone on with', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user, use)
    await pass(hour)
    const { session, next, distance } = await holder.refresh('rotated', {
      generation: 4,
      at: hour - minute
    })
    assert.deepEqual([distance, session.generation, next.generation], [3, 4, 5])
    assert.equal(session.refreshedAt, session.createdAt + hour - minute)
    await holder.refresh('offered', { generation: 4, at: hour - minute })
    await holder.refresh('rotated', next)
  })

  test('where the clock steps back, the same copy is still let in', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    await pass(2 * hour)
    const { next } = await holder.refresh('offered')
    await pass(-hour)
    await holder.refresh('rotated', next, { idleLifetime: 10 * minute })
    await holder.refresh('offered', next, { idleLifetime: 10 * minute })
    assert.ok(await holder.find())
    await pass(9 * minute)
    assert.ok(await holder.find())
    await holder.expect('repeated', { generation: 1, at: 0 })
  })

  test('a streak counts the generations running in which a repeat came', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user, use)
    const streaks: number[] = []
    await holder.refresh('offered')
    for (const repeats of [1, 1, 0, 2]) {
      await pass(hour)
      // The successor of the one that is spent was handed out an hour ago:
      // a grace period of a day has it repeated.
      const spent = { generation: holder.token.generation - 1, at: 0 }
      const { next } = await holder.refresh('rotated', holder.token, { gracePeriod: day })
      for (let i = 0; i < repeats; i++) {
        streaks.push((await holder.refresh('repeated', spent, { gracePeriod: day })).streak)
      }
      holder.token = next
    }
    assert.deepEqual(streaks, [1, 2, 1, 1])
  })

  test('switching between the two logs nobody out, and is no lost write', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user)
    const present = async (
      spentOn: 'issue' | 'use',
      outcome: 'rotated' | 'offered',
      distance: number
    ) => {
      await pass(hour)
      const result = await holder.refresh(outcome, holder.token, { spentOn })
      assert.equal(result.distance, distance, `${spentOn}, ${outcome}`)
    }
    await present('issue', 'rotated', 0)
    await present('use', 'offered', 0)
    await present('use', 'rotated', 1)
    await present('issue', 'rotated', 0)
    await present('issue', 'rotated', 0)
    await present('use', 'offered', 0)
    await present('issue', 'rotated', 0)
    await present('use', 'offered', 0)
    const kept = { generation: holder.token.generation - 1, at: 0 }
    const session = await holder.find()
    kept.at = (session?.refreshedAt ?? 0) - (session?.createdAt ?? 0)
    holder.token = kept
    await present('issue', 'rotated', 0)
    assert.equal((await holder.refresh('repeated', kept, use)).next.generation, kept.generation + 1)
    await present('use', 'offered', 0)
  })
}
