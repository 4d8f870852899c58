import t from 'tap'
import { findForbidden } from './nemesis/checker'
import type { Entry, Fault, History, Key } from './nemesis/history'

const gracePeriod = 8_000
const session = 'a-session'
const key = Buffer.alloc(16, 7)

/** A token as a client reads it: of each generation there can be several copies. */
function token (generation: number, copy = 0) {
  const said = { key: key.toString('base64url'), gen: generation, copy }
  const payload = Buffer.from(JSON.stringify(said)).toString('base64url')
  return { text: `eyJhbGciOiJIUzI1NiJ9.${payload}.c2lnbmVk`, generation }
}

/** An entry that begins at `from`, and is answered 10 ms later. */
function entry (from: number, verb: Entry['verb'], more: Partial<Entry> = {}): Entry {
  const own = { user: 'ada', session, by: 'owner', node: 0, bound: false, proven: false } as const
  return { from, to: from + 10, verb, ...own, heard: { status: 200, session }, ...more }
}

const login = (from: number, more: Partial<Entry> = {}) =>
  entry(from, 'login', { heard: { status: 200, token: token(1), session }, ...more })
const refresh = (from: number, generation: number, more: Partial<Entry> = {}) => entry(from, 'refresh', {
  presented: token(generation),
  heard: { status: 200, token: token(generation + 1), session },
  ...more
})
const answered = (status: Entry['heard']['status'], code?: string): Pick<Entry, 'heard'> =>
  ({ heard: { status, code } })
const over = answered(401, 'REFRESH_TOKEN_INVALID')
const reused = answered(401, 'REFRESH_TOKEN_REUSED')
const revoked = answered(401, 'SESSION_REVOKED')

type Told = Partial<Omit<History, 'setting'>> & Partial<History['setting']>

/** Which rules a history breaks. */
function broken (entries: Entry[], told: Told = {}): string[] {
  const { spentOn = 'issue', durable = false, faults = [], dumps = [], end = 100_000 } = told
  const setting = { spentOn, durable, gracePeriod }
  const { hearing = [0, 1].map((node) => ({ node, at: 0, hears: true })) } = told
  const findings = findForbidden({ setting, entries, faults, dumps, hearing, end })
  return [...new Set(findings.map(({ rule }) => rule))]
}

const fault = (from: number, to: number, more: Partial<Fault> = {}): Fault =>
  ({ name: 'a fault', from, to, ...more })

t.test('a sane history has nothing forbidden in it', async (t) => {
  const entries = [
    login(0),
    refresh(100, 1),
    refresh(110, 1),
    refresh(200, 2, { node: 1, ...answered('lost') }),
    refresh(300, 2),
    refresh(400, 1, { heard: { status: 200, token: token(3), session } }),
    entry(450, 'guard'),
    refresh(500, 3, answered(503, 'STORE_UNAVAILABLE')),
    refresh(600, 3),
    entry(30_000, 'logout', { heard: { status: 204 } }),
    entry(30_005, 'guard', { node: 1 }),
    entry(30_500, 'guard', revoked),
    refresh(31_000, 4, over)
  ]
  t.strictSame(broken(entries, { faults: [fault(180, 320)] }), [])
})

t.test('with either ending, a session that has ended is not let in', async (t) => {
  const rule = ['an ended session was let in']
  for (const ending of [
    entry(100, 'logout', { heard: { status: 204 } }),
    entry(100, 'logoutAll', { session: 'another', heard: { status: 204 } }),
    entry(100, 'revoke'),
    entry(100, 'revoke', answered(503, 'ENDING_UNCONFIRMED')),
    entry(100, 'revokeAll', { session: '' }),
    refresh(100, 1, { by: 'thief', ...reused }),
    login(100, {
      session: 'the next', replaces: session, heard: { status: 200, session: 'the next' }
    })
  ]) {
    t.strictSame(broken([login(0), ending, refresh(111, 1)]), rule, ending.verb)
    t.strictSame(broken([login(0), ending, entry(111, 'live')]), rule, ending.verb)
    t.strictSame(broken([login(0), ending, refresh(105, 1)]), [], 'the two cross')
  }
  const lost = [entry(100, 'logout', answered('lost')), entry(100, 'logout', answered(503))]
  for (const ending of lost) t.strictSame(broken([login(0), ending, refresh(111, 1)]), [])
})

t.test('an ending may be lost with its master, unless durability has confirmed it', async (t) => {
  const faults = [fault(90, 4_000, { losesWrites: true })]
  const rule = ['an ended session was let in']
  const history = (status: number) =>
    [login(0), entry(100, 'logout', { heard: { status } }), refresh(4_100, 1)]
  t.strictSame(broken(history(204), { faults }), [])
  t.strictSame(broken(history(202), { faults, durable: true }), [])
  t.strictSame(broken(history(204), { faults, durable: true }), rule)
  t.strictSame(broken(history(204), { faults: [fault(90, 4_000)] }), rule)
  t.strictSame(broken(history(204), { faults: [fault(111, 4_000, { losesWrites: true })] }), rule,
    'what was written before is on the replica')
})

t.test('the guard refuses an ended session as soon as its node can be told', async (t) => {
  const rule = ['an ended session was let in by the guard']
  const history = (at: number) =>
    [login(0), entry(100, 'logout', { heard: { status: 204 } }), entry(at, 'guard', { node: 1 })]
  t.strictSame(broken(history(1_000)), [])
  t.strictSame(broken(history(2_000)), rule)
  const slow = entry(2_000, 'guard', { node: 1, to: 3_000 })
  t.strictSame(broken([...history(1_000).slice(0, 2), slow]), [], 'the store does not answer')
  t.strictSame(broken([...history(1_000).slice(0, 2), { ...slow, to: 2_990 }]), rule)
  const struck = (node: number) => ({ faults: [fault(50, 1_500, { deafens: [node] })] })
  t.strictSame(broken(history(2_000), struck(1)), [])
  t.strictSame(broken(history(2_000), struck(0)), rule)
  t.strictSame(broken(history(3_000), struck(1)), rule, 'what was held back has arrived')
  const cutOff = {
    hearing: [[0, true], [3_000, false], [5_000, true]].map(([at, hears]) =>
      ({ node: 1, at: Number(at), hears: Boolean(hears) }))
  }
  t.strictSame(broken(history(2_000), cutOff), [], 'it notices soon')
  t.strictSame(broken(history(4_000), cutOff), [])
  t.strictSame(broken(history(5_500), cutOff), rule, 'it has caught up')
  t.strictSame(broken(history(2_000), { hearing: [] }), [], 'it has never heard')
})

t.test('a living session is not refused', async (t) => {
  const rule = ['a living session was refused']
  const losesWrites = true
  t.strictSame(broken([login(0), refresh(100, 1, over)]), rule)
  t.strictSame(broken([login(0), refresh(100, 1, reused)]), rule)
  t.strictSame(broken([login(0), entry(100, 'guard', revoked)]), rule)
  t.strictSame(broken([login(0), entry(100, 'guard', answered(401, 'ACCESS_TOKEN_INVALID'))]), rule)
  t.strictSame(broken([login(0), refresh(100, 1, answered(403))]), [...rule, 'an error'])
  t.strictSame(broken([login(0), refresh(50, 1), refresh(100, 1, over)],
    { faults: [fault(60, 4_000, { losesWrites })] }).slice(0, 1), rule, 'its login was before')
  t.strictSame(broken([login(0), refresh(100, 1, over)],
    { faults: [fault(0, 4_000, { losesWrites })] }), [], 'its login is lost')
  const expired = entry(100, 'guard', answered(401, 'ACCESS_TOKEN_EXPIRED'))
  t.strictSame(broken([login(0), expired]), rule)
  t.strictSame(broken([login(0), expired],
    { faults: [fault(90, 200, { stepsClock: true })] }), [])
  const setBack = { faults: [fault(40, 60, { stepsClock: true })] }
  t.strictSame(broken([login(0), expired], setBack), [], 'until it hears of Redis')
  t.strictSame(broken([login(0), refresh(70, 1), expired], setBack), rule)
  t.strictSame(broken([login(0), refresh(70, 1, { node: 1 }), expired], setBack), [])
})

t.test('what was answered 503 does not happen later; what was not answered may', async (t) => {
  const rule = ['a living session was refused']
  const history = (heard: Pick<Entry, 'heard'>, at: number) =>
    [login(0), entry(100, 'logout', heard), refresh(at, 1), refresh(at + 100, 2, over)]
  t.strictSame(broken(history(answered(503, 'STORE_UNAVAILABLE'), 200)), rule)
  t.strictSame(broken(history(answered('lost'), 200)), [])
  t.strictSame(broken(history(answered('lost'), 3_000)), rule)
  t.strictSame(broken([login(0), entry(100, 'logout', answered(503)), refresh(200, 1, over)]), [],
    'or it happened at once, and the answer was lost')
})

t.test('a thief is a cause, except of what is bound', async (t) => {
  const robbed = (more: Partial<Entry>) =>
    [login(0, more), refresh(100, 1, { by: 'thief', ...more, proven: false, ...over })]
  t.strictSame(broken([...robbed({}), refresh(200, 1, over)]), [])
  const bound = { bound: true, proven: true }
  t.strictSame(broken([...robbed(bound), refresh(200, 1, { ...bound, ...over })]),
    ['a living session was refused'])
})

t.test('with issue, a repeat past the grace period is reuse, and before it is none', async (t) => {
  const history = (at: number) =>
    [login(0), refresh(100, 1, answered('lost')), refresh(at, 1, reused), refresh(at + 50, 1, over)]
  t.strictSame(broken(history(5_000)), ['a living session was refused'])
  t.strictSame(broken(history(8_500)), [])
  t.strictSame(broken(history(8_500), { spentOn: 'use' }), ['a living session was refused'])
})

t.test('two holders do not both go on', async (t) => {
  const rule = ['a spent token was let in']
  const thief = (from: number, generation: number) => refresh(from, generation,
    { by: 'thief', heard: { status: 200, token: token(2), session } })
  const { spentOn } = { spentOn: 'use' as const }
  t.strictSame(broken([login(0), refresh(100, 1), thief(9_000, 1)]), [], 'a repeat')
  t.strictSame(broken([login(0), refresh(100, 1), thief(9_200, 1)]), rule)
  t.strictSame(broken([login(0), refresh(100, 1), thief(9_200, 1)], { spentOn }), [],
    'with use, nothing is spent yet')
  t.strictSame(broken([login(0), refresh(100, 1), refresh(200, 2), thief(9_300, 1)], { spentOn }),
    rule)
  const faults = [fault(90, 4_000, { losesWrites: true })]
  t.strictSame(broken([login(0), refresh(100, 1), thief(9_200, 1)], { faults }), [],
    'the rotation may be lost')
})

t.test('a step of the clock of Redis makes a grace period so much longer or shorter', async (t) => {
  const faults = [fault(0, 9_500, { stepsRedis: 1_500 })]
  const late = [login(0), refresh(100, 1, answered('lost')), refresh(7_000, 1, reused)]
  t.strictSame(broken(late), ['a living session was refused'])
  t.strictSame(broken(late, { faults }), [])
  const spent = (at: number) => [login(0), refresh(100, 1), refresh(at, 1)]
  t.strictSame(broken(spent(9_200)), ['a spent token was let in'])
  t.strictSame(broken(spent(9_200), { faults }), [])
  t.strictSame(broken(spent(10_700), { faults }), ['a spent token was let in'])
})

t.test('with use, of two copies of a token one is let in', async (t) => {
  const gives = (from: number, copy: number) =>
    refresh(from, 1, { heard: { status: 200, token: token(2, copy), session } })
  const takes = (from: number, copy: number) => refresh(from, 2,
    { presented: token(2, copy), heard: { status: 200, token: token(3, copy), session } })
  const history = (apart: number) =>
    [login(0), gives(100, 1), gives(100 + apart, 2), takes(12_000, 1), takes(13_000, 2)]
  t.strictSame(broken(history(7_000), { spentOn: 'use' }), [])
  t.strictSame(broken(history(9_000), { spentOn: 'use' }), ['two copies of a token were let in'])
})

t.test('with issue, there is one token of each generation', async (t) => {
  const twice = [
    login(0), refresh(100, 1),
    refresh(110, 1, { heard: { status: 200, token: token(2, 1), session } })
  ]
  t.strictSame(broken(twice), ['two tokens of one generation were handed out'])
  t.strictSame(broken(twice, { spentOn: 'use' }), [])
  t.strictSame(broken(twice, { faults: [fault(105, 200, { stepsRedis: 1_500 })] }), [])
})

t.test('a bound session is not let in without proof', async (t) => {
  const rule = ['a bound session was let in without proof']
  const bound = { bound: true, proven: true }
  const by = { by: 'thief', bound: true, proven: false } as const
  t.strictSame(broken([login(0, bound), refresh(100, 1, bound), entry(200, 'guard', bound)]), [])
  for (const stolen of [refresh(100, 1, by), entry(100, 'guard', by), entry(100, 'live', by)]) {
    t.strictSame(broken([login(0, bound), stolen]), rule, stolen.verb)
  }
  t.strictSame(broken([login(0, bound), refresh(100, 1, {
    ...by, ...answered(401, 'REFRESH_TOKEN_UNPROVEN')
  })]), [])
})

t.test('an answer is about the session that was asked for', async (t) => {
  const mixedUp = refresh(100, 1, { heard: { status: 200, session: 'another' } })
  t.strictSame(broken([login(0), mixedUp]), ['an answer was about another session'])
})

t.test('an answer is none that a client cannot expect', async (t) => {
  t.strictSame(broken([login(0), refresh(100, 1, answered(500))]).slice(-1), ['an error'])
})

t.test('every living session goes on after each fault', async (t) => {
  const rule = ['a session did not go on after a fault']
  const faults = [fault(1_000, 2_000)]
  const unavailable = [1, 2, 3, 4, 5].map((i) => refresh(i * 3_000, 1, answered(503)))
  t.strictSame(broken([login(0), ...unavailable], { faults }), rule)
  t.strictSame(broken([login(0), ...unavailable, refresh(18_000, 1)], { faults }), rule, 'too late')
  t.strictSame(broken([login(0), ...unavailable, refresh(16_000, 1)], { faults }), [])
  t.strictSame(broken([login(0), ...unavailable], { faults, end: 16_000 }), [], 'it still may')
  t.strictSame(broken([login(0), ...unavailable, refresh(16_000, 1, reused)], { faults }), [])
  t.strictSame(broken([login(0), ...unavailable.slice(0, 2)], { faults }), [], 'it has given up')
  const left = unavailable.map((entry) => ({ ...entry, left: true }))
  t.strictSame(broken([login(0), ...left], { faults }), [], 'it does not wait for its answers')
  t.strictSame(broken([login(3_000), ...unavailable.slice(3)], { faults }), [], 'it began later')
})

t.test('at rest there is no key without a TTL, and no token', async (t) => {
  const holds = (name: string, ttl: number, ...texts: (string | Buffer)[]): Key =>
    ({ name, ttl, texts: texts.map((text) => Buffer.from(text)) })
  const found = (dump: Key) => broken([login(0)], { dumps: [[dump]] })
  t.strictSame(found(holds('k', 1_000, session, 'some bytes')), [])
  t.strictSame(found(holds('k', -1, session)), ['the key k has no TTL'])
  t.strictSame(found(holds('k', 1_000, 'seyJu7KkPqzT4mW0xYbLcQ')), [], 'an id that looks like one')
  const { text } = token(1)
  for (const secret of [
    text, text.slice(text.indexOf('.') + 1), key, key.toString('hex'), key.toString('base64'),
    key.toString('base64url')
  ]) {
    t.strictSame(found(holds('k', 1_000, Buffer.concat(
      [Buffer.from('some '), Buffer.from(secret), Buffer.from(' bytes')]
    ))), ['a token is at rest'])
  }
})
