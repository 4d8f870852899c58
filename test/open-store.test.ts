import { mock } from 'node:test'
import t from 'tap'
import { boundStore } from '../lib/store/bounded'
import { openStore } from '../lib/store/open'
import type { Store } from '../lib/store/store'

// The timer by which a store is opened again.
mock.timers.enable({ apis: ['setTimeout'] })
t.teardown(() => { mock.timers.reset() })

async function pass (ms: number): Promise<void> {
  mock.timers.tick(ms)
  await new Promise(setImmediate)
}

/** A store that is there or not as a test wants it, and says how often it was opened. */
function createStore () {
  const state = { isThere: false, reason: 'down', opened: 0, errors: 0, lines: [] as string[] }
  const store = {
    open: async () => {
      state.opened++
      if (!state.isThere) throw new Error(state.reason)
      return 'it evicts keys'
    }
  } as unknown as Store
  const bounded = boundStore(store, 1_000, () => { state.errors++ })
  const log = {
    info: (line: string) => { state.lines.push(line) },
    warn: (about: unknown, line?: string) => {
      const { reason } = Object(about) as { reason?: string }
      state.lines.push(line === undefined ? String(about) : `${line}: ${reason}`)
    }
  }
  return { state, open: () => openStore(bounded, log as never) }
}

t.test('a store that is there is opened once', async (t) => {
  const { state, open } = createStore()
  state.isThere = true
  await open().opened
  await pass(60_000)
  t.match(state, { opened: 1, errors: 0, lines: ['it evicts keys'] })
})

t.test('one that was down at the start is opened once it is there, and then no more', async (t) => {
  const { state, open } = createStore()
  await open().opened
  t.strictSame(state.lines, ['the store of sessions is not available yet: down'])
  await pass(999)
  t.equal(state.opened, 1)
  await pass(1)
  t.equal(state.opened, 2)
  state.isThere = true
  await pass(2_000)
  t.strictSame(state.lines.slice(1), ['the store of sessions is available now', 'it evicts keys'])
  await pass(60_000)
  t.equal(state.opened, 3)
})

t.test('one that cannot be opened is opened ever more seldom, and is one event', async (t) => {
  const { state, open } = createStore()
  await open().opened
  for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
    const before = state.opened
    await pass(seconds * 1000 - 1)
    t.equal(state.opened, before)
    await pass(1)
    t.equal(state.opened, before + 1, `${seconds} s`)
  }
  t.match(state, { errors: 1, lines: { length: 1 } })
  state.reason = 'NOAUTH'
  await pass(30_000)
  await pass(30_000)
  t.strictSame(state.lines.slice(1), ['the store of sessions is not available yet: NOAUTH'])
})

t.test('what is stopped is not opened again, even if it was being opened', async (t) => {
  const { state, open } = createStore()
  const early = open()
  early.stop()
  await early.opened
  const late = open()
  await late.opened
  late.stop()
  await pass(60_000)
  t.equal(state.opened, 2)
  const last = open()
  await last.opened
  const said = state.lines.length
  state.isThere = true
  mock.timers.tick(1_000)
  last.stop()
  await pass(60_000)
  t.equal(state.opened, 4)
  t.equal(state.lines.length, said, 'it says nothing either')
})
