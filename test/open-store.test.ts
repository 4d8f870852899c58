import { mock } from 'node:test'
import t from 'tap'
import { boundStore } from '../lib/store/bounded'
import { openStore } from '../lib/store/open'
import type { Store } from '../lib/store/store'

// The clock by which an outage is judged, and the timer by which a store is opened again.
let ms = 0
const { now } = performance
performance.now = () => ms
mock.timers.enable({ apis: ['setTimeout'] })
t.teardown(() => {
  performance.now = now
  mock.timers.reset()
})

async function pass (time: number): Promise<void> {
  ms += time
  mock.timers.tick(time)
  await new Promise(setImmediate)
}

/** A store that is opened and asked as a test wants it, and says how often it was opened. */
function createStore () {
  const state = { opens: true, serves: true, opened: 0, lines: [] as string[] }
  const ask = async <T>(succeeds: boolean, result: T): Promise<T> => {
    if (!succeeds) throw new Error('down')
    return result
  }
  const store = {
    open: async () => {
      state.opened++
      return await ask(state.opens, 'it evicts keys')
    },
    list: async () => await ask(state.serves, [])
  } as unknown as Store
  const bounded = boundStore(store, 1_000, () => {}, () => { state.lines.push('available') })
  const log = {
    warn: (about: unknown, line?: string) => { state.lines.push(line ?? String(about)) }
  }
  const list = async () => await bounded.list('ada').catch(() => {})
  return { state, bounded, log: log as never, list }
}

t.test('a store that was down at the start is opened once it is there, and then no more', async (t) => {
  const { state, bounded, log } = createStore()
  state.opens = false
  await openStore(bounded, log).opened
  t.strictSame(state.lines, ['the store of sessions is not available yet'])
  await pass(1_000)
  await pass(1_000)
  t.equal(state.opened, 3)
  state.opens = true
  await pass(1_000)
  t.strictSame(state.lines.slice(1), ['available', 'it evicts keys'])
  await pass(10_000)
  t.equal(state.opened, 4)
})

t.test('the end of an outage is found though a request failed just before it', async (t) => {
  const { state, bounded, log, list } = createStore()
  state.opens = state.serves = false
  await openStore(bounded, log).opened
  await pass(950)
  await list()
  state.opens = true
  await pass(50)
  t.strictSame(state.lines.slice(1), ['it evicts keys'], 'which is too early to say')
  await pass(1_000)
  t.strictSame(state.lines.slice(2), ['available'])
  await pass(10_000)
  t.equal(state.opened, 3)
})

t.test('one that serves requests, and cannot be opened, is not opened for ever', async (t) => {
  const { state, bounded, log, list } = createStore()
  state.opens = false
  await openStore(bounded, log).opened
  await pass(950)
  await list()
  t.equal(bounded.failing(), false)
  await pass(50)
  t.equal(state.opened, 2, 'once more, for what it has to say')
  await pass(10_000)
  t.equal(state.opened, 2)
})

t.test('an outage is over once, and not while failures and answers take turns', async (t) => {
  const { state, bounded, list } = createStore()
  for (let turn = 0; turn < 20; turn++) {
    state.serves = turn % 2 === 1
    await list()
    await pass(100)
  }
  t.strictSame(state.lines, [])
  t.equal(bounded.failing(), true)
  await pass(900)
  await list()
  t.equal(bounded.failing(), false)
  await pass(10_000)
  await list()
  t.strictSame(state.lines, ['available'])
})

t.test('what is stopped is not opened again, even if it was being opened', async (t) => {
  const { state, bounded, log } = createStore()
  state.opens = false
  const early = openStore(bounded, log)
  early.stop()
  await early.opened
  const late = openStore(bounded, log)
  await late.opened
  late.stop()
  await pass(10_000)
  t.equal(state.opened, 2)
})
