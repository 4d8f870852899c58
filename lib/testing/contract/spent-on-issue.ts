import assert from 'node:assert/strict'
import type { HandedOut, Store } from '../../store/store'
import { day, Holder, hour, minute, rotation, second, timeout, type Declare } from './subject'

/** What presenting a token comes to if tokens are spent when their successor is issued. */
export function spentOnIssue (test: Declare): void {
  test('the present generation is rotated', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user)
    await pass(hour)
    const found = await holder.find()
    const { session, next, distance, msSinceRotation, streak } = await holder.refresh(
      'rotated',
      undefined,
      { signer: 'efg' }
    )
    assert.deepEqual(
      {
        generation: session.generation,
        signer: session.signer,
        content: session.content,
        distance,
        streak
      },
      { generation: 2, signer: 'efg', content: holder.session.content, distance: 0, streak: 0 }
    )
    assert.deepEqual(next, { generation: 2, at: session.refreshedAt - session.createdAt })
    assert.ok(msSinceRotation >= hour && msSinceRotation < hour + minute)
    assert.equal(session.createdAt, found?.createdAt)
    assert.equal(session.deadline, found?.deadline)
    assert.ok(session.refreshedAt >= session.createdAt + hour)
    assert.equal(session.expiresAt, session.refreshedAt + 14 * day)
    assert.deepEqual(await holder.find(), session)
  })

  test('a rotation may renew the content', async ({ store }, user) => {
    const holder = await Holder.login(store, user)
    let from = holder.session.content
    for (const to of ['0ada\n\n{"role":"root"}', '', '=']) {
      const { session } = await holder.refresh('rotated', undefined, { content: { from, to } })
      assert.equal(session.content, to)
      assert.equal((await holder.refresh('rotated')).session.content, to)
      from = to
    }
  })

  test('content that was made from another than the present one changes nothing', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user)
    const first = holder.token
    await pass(minute)
    const before = await holder.find()
    const content = { from: 'another', to: 'new' }
    for (const ahead of [0, 3]) {
      const token = { generation: first.generation + ahead, at: 0 }
      assert.deepEqual(
        await holder.present(token, { content }),
        { outcome: 'changed', session: before }
      )
      assert.deepEqual(await holder.find(), before)
    }
    await holder.refresh('rotated', first, { content: { from: holder.session.content, to: '' } })
    await holder.expect('repeated', first, { content })
    await pass(minute)
    await holder.expect('reused', first, { content })
    await holder.expect('unknown', holder.token, { content })
  })

  test('within the grace period the predecessor is repeated, and changes nothing', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user)
    const first = holder.token
    const { next } = await holder.refresh('rotated')
    await pass(9 * second)
    const before = await holder.find()
    for (let i = 0; i < 3; i++) {
      const repeated = await holder.refresh('repeated', first, {
        content: { from: 'whatever', to: 'other' },
        signer: 'zzz',
        idleLifetime: day
      })
      assert.deepEqual([repeated.distance, repeated.session, repeated.next], [1, before, next])
    }
    assert.deepEqual(await holder.find(), before)
    await pass(second)
    await holder.expect('reused', first)
  })

  test('after the grace period the predecessor is reuse, and ends its session', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user)
    const other = await Holder.login(store, user)
    const first = holder.token
    await holder.refresh('rotated')
    await pass(10 * second)
    const [session, bystander] = [await holder.find(), await other.find()]
    const reused = await holder.expect('reused', first)
    assert.ok(reused.outcome === 'reused' && reused.msSinceRotation >= 10 * second)
    assert.deepEqual([reused.distance, reused.session, reused.streak], [1, session, 0])
    assert.deepEqual(await holder.present(), { outcome: 'unknown' })
    assert.deepEqual(await store.list(user, timeout), [bystander], 'and no other')
  })

  test('in a burst every generation is repeated within the grace period of its successor', async (
    { store, pass }, user
  ) => {
    const { tokens, holder } = await burst(store, user, pass, 50, 180)
    const present = holder.token
    for (const token of tokens) {
      const { distance, next } = await holder.refresh('repeated', token)
      assert.deepEqual([distance, next], [51 - token.generation, present])
    }
    await holder.refresh('rotated', present)
  })

  test('in a burst a generation is reuse after 1.125 grace periods of its successor', async (
    { store, pass }, user
  ) => {
    // A rotation each second: the successor of generation g is issued after g seconds.
    for (const [generation, outcome] of [
      [20, 'repeated'],
      [12, 'repeated'],
      [11, 'repeated'],
      [8, 'reused'],
      [2, 'reused']
    ] as const) {
      const { tokens, holder } = await burst(store, `${user}${generation}`, pass, 20, second)
      const token = tokens[generation - 1] ?? holder.token
      await pass(500)
      await holder.expect(outcome, token)
    }
  })

  test('rotations almost a grace period apart are a burst', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user)
    const first = holder.token
    await pass(hour)
    await holder.refresh('rotated')
    await pass(9 * second)
    await holder.refresh('rotated')
    await holder.refresh('repeated', first)
  })

  test('generations of one eighth of a grace period are repeats until the last is reuse', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user)
    // An eighth of 10 s begins at each multiple of 1.25 s since the login.
    await pass(hour)
    const tokens = [holder.token, (await holder.refresh('rotated')).next]
    await pass(1100)
    await holder.refresh('rotated')
    await holder.refresh('rotated')
    await pass(9200)
    await holder.refresh('repeated', tokens[1])
    await pass(2 * second)
    await holder.expect('reused', tokens[1] ?? holder.token)
  })

  test('what came before a burst is reuse in it', async ({ store, pass }, user) => {
    for (const generation of [1, 2]) {
      const holder = await Holder.login(store, `${user}${generation}`)
      const tokens: HandedOut[] = []
      for (const ms of [hour, hour, second, second, second]) {
        await pass(ms)
        tokens.push(holder.token)
        await holder.refresh('rotated')
      }
      await holder.expect('repeated', tokens[2] ?? holder.token)
      await holder.expect(
        generation === 2 ? 'repeated' : 'reused',
        tokens[generation - 1] ?? holder.token
      )
    }
  })

  test('a burst after a burst begins anew', async ({ store, pass }, user) => {
    const { tokens, holder } = await burst(store, user, pass, 4, second)
    await pass(11 * second)
    const between = holder.token
    await holder.refresh('rotated')
    await pass(second)
    await holder.refresh('rotated')
    await holder.refresh('rotated')
    await holder.expect('repeated', between)
    await holder.expect('reused', tokens[3] ?? between)
  })

  test('a grace period of 0 is strict single use', async ({ store, pass }, user) => {
    for (const ms of [0, -second]) {
      const holder = await Holder.login(store, user, { gracePeriod: 0 })
      const first = holder.token
      await holder.refresh('rotated')
      await pass(ms)
      await holder.expect('reused', first)
    }
    const holder = await Holder.login(store, user, { gracePeriod: 0 })
    const first = holder.token
    await holder.refresh('rotated')
    await holder.refresh('rotated')
    await holder.expect('reused', first)
  })

  test('where the clock steps back, nothing that has just been spent is reuse', async (
    { store, pass }, user
  ) => {
    const { tokens, holder } = await burst(store, user, pass, 3, second)
    await pass(-hour)
    for (const token of tokens) await holder.expect('repeated', token)
    const spent = [...tokens]
    for (let i = 0; i < 20; i++) {
      spent.push(holder.token)
      await holder.refresh('rotated')
      await pass(second)
    }
    for (const token of spent.slice(-9)) await holder.expect('repeated', token)
    await holder.expect('reused', spent[0] ?? holder.token)
  })

  test('a generation ahead of the store is gone on with', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user)
    await pass(minute)
    const lost = [2, 3, 4].map((generation) => ({
      generation,
      at: minute - second * (4 - generation)
    }))
    const { distance, session } = await holder.refresh('rotated', lost[2])
    assert.deepEqual([distance, session.generation], [3, 5])
    assert.equal((await holder.refresh('repeated', lost[2])).next.generation, 5)
    for (const token of lost) await holder.expect('repeated', token)
  })

  test('many presentations at once come to one rotation', async ({ store }, user) => {
    const holder = await Holder.login(store, user)
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, async () => await holder.present())
    )
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'rotated').length, 1)
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'repeated').length, 199)
    const handedOut = outcomes.map((outcome) =>
      'next' in outcome ? `${outcome.next.generation} ${outcome.next.at}` : ''
    )
    assert.equal(new Set(handedOut).size, 1, 'and to one token')
  })

  test('many replays at once come to one detection', async ({ store, pass }, user) => {
    const holder = await Holder.login(store, user)
    const first = holder.token
    await holder.refresh('rotated')
    await pass(minute)
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, async () => await holder.present(first))
    )
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'reused').length, 1)
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'unknown').length, 49)
  })

  test('a streak counts the generations running in which a repeat came', async (
    { store, pass }, user
  ) => {
    const holder = await Holder.login(store, user)
    const generation = async (repeats: number): Promise<number[]> => {
      await pass(hour)
      const { token } = holder
      const { next, streak } = await holder.refresh('rotated')
      const streaks = [streak]
      for (let i = 0; i < repeats; i++) {
        streaks.push((await holder.refresh('repeated', token)).streak)
      }
      assert.deepEqual(holder.token, next)
      return streaks
    }
    assert.deepEqual(await generation(2), [0, 1, 1])
    assert.deepEqual(await generation(3), [0, 2, 2, 2])
    assert.deepEqual(await generation(1), [0, 3])
    assert.deepEqual(await generation(0), [0])
    assert.deepEqual(await generation(1), [0, 1], 'a generation without a repeat ends it')
    for (let i = 2; i <= 15; i++) assert.deepEqual(await generation(1), [0, i])
    assert.deepEqual(await generation(1), [0, 15], 'it counts to 15')
    assert.deepEqual(await generation(0), [0])
    assert.deepEqual(await generation(1), [0, 1])
  })

  test('a session that has no generation left ends', async ({ store }, user) => {
    const holder = await Holder.login(store, user)
    const last = 2 ** 24 - 1
    await holder.refresh('rotated', { generation: last - 1, at: 0 })
    assert.equal(
      (await holder.refresh('repeated', { generation: last - 1, at: 0 })).session.generation,
      last
    )
    assert.deepEqual(await store.rotate(user, rotation(holder.sid, last), timeout), {
      outcome: 'unknown'
    })
    assert.deepEqual(await store.list(user, timeout), [])
    const other = await Holder.login(store, user)
    assert.deepEqual(await other.present({ generation: 2 ** 32 - 1, at: 0 }), {
      outcome: 'unknown'
    })
  })
}

/** A session that is rotated that many times, each some ms apart; `tokens` are all but the last. */
async function burst (
  store: Store,
  user: string,
  pass: (ms: number) => Promise<void> | void,
  rotations: number,
  ms: number
) {
  const holder = await Holder.login(store, user)
  await pass(hour)
  const tokens: HandedOut[] = []
  for (let i = 0; i < rotations; i++) {
    if (i > 0) await pass(ms)
    tokens.push(holder.token)
    await holder.refresh('rotated')
  }
  return { tokens, holder }
}
