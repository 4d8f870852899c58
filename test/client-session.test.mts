import t from 'tap'
import { createClient } from '../lib/client/client.mjs'
import helpers from './support/app.js'
import { signal, start, until } from './support/tab.mjs'

const { minute } = helpers
const ada = { claims: { sub: 'ada' } }
const grace = { claims: { sub: 'grace' } }
/** Lets everything that is ready happen. */
const turn = () => new Promise((resolve) => { setImmediate(resolve) })
const viaBody = { claims: { sub: 'ada' }, options: { transport: 'body' } }

/** Locks as the Web Locks API has them, for Node versions without. */
function installLocks (t: Parameters<typeof start>[0], locks: object = webLocks()) {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  Object.defineProperty(globalThis, 'navigator', { configurable: true, value: { locks } })
  t.teardown(async () => {
    Reflect.deleteProperty(globalThis, 'navigator')
    if (before) Object.defineProperty(globalThis, 'navigator', before)
  })
}

interface LockOptions {
  ifAvailable?: boolean
  signal?: AbortSignal
}

function webLocks () {
  const state: { held?: Promise<unknown> } = {}
  return {
    async request (_name: string, options: LockOptions, work: (lock: unknown) => unknown) {
      const { ifAvailable, signal } = options
      if (state.held && ifAvailable) return await work(null)
      const aborted = new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason))
      })
      while (state.held) await Promise.race([state.held, aborted])
      const result = Promise.resolve(work({}))
      state.held = result.catch(() => {}).then(() => { delete state.held })
      return await result
    }
  }
}

/** Holds the next answer back, when the server has given it. */
function hold (network: Awaited<ReturnType<typeof start>>['network'], send: typeof network.send) {
  const given = signal()
  const held = signal()
  network.send = async (request) => {
    network.send = send
    const response = await send(request)
    given.done()
    await held.reached
    return response
  }
  return { arrived: given.reached, release: held.done }
}

t.test('a logout ends the session in all tabs and says so once in each', async (t) => {
  const { open } = await start(t)
  const ended: string[] = []
  const here = open({ onSessionEnd: (reason) => ended.push(`here: ${reason}`) })
  const there = open({ onSessionEnd: (reason) => ended.push(`there: ${reason}`) })
  await here.login('/login', ada)
  await there.restore()
  t.equal((await here.logout()).status, 204)
  await until(() => ended.length === 2)
  await here.logout()
  t.equal(await there.accessToken(), undefined)
  t.equal((await there.fetch('/me')).status, 401)
  t.strictSame(ended, ['here: logout', 'there: logout'])
  t.equal(await open().restore(), false)
})

t.test('a logout on every device', async (t) => {
  const { open, app } = await start(t)
  const auth = open()
  await open().login('/login', ada)
  await auth.login('/login', ada)
  t.equal((await app.sessions.list('ada')).length, 2)
  await auth.logout({ all: true })
  t.equal((await app.sessions.list('ada')).length, 0)
})

t.test('a logout that fails ends nothing', async (t) => {
  const { open, network, send } = await start(t)
  const auth = open({ onSessionEnd: () => t.fail('the session goes on') })
  await auth.login('/login', ada)
  network.send = async () => new Response('', { status: 503 })
  t.equal((await auth.logout()).status, 503)
  network.send = async () => { throw new TypeError('fetch failed') }
  await t.rejects(auth.logout(), TypeError)
  network.send = send
  t.equal((await auth.fetch('/me')).status, 200)
})

t.test('a refresh that is refused ends the session once', async (t) => {
  const { open, app, wait, calls } = await start(t)
  let ended = 0
  const here = open({ onSessionEnd: () => ended++ })
  const there = open({ onSessionEnd: () => ended++ })
  await here.login('/login', ada)
  await there.restore()
  await app.sessions.revokeAll('ada')
  wait(31 * minute)
  calls()
  t.equal((await here.fetch('/me')).status, 401)
  await until(() => ended === 2)
  t.equal((await there.fetch('/me')).status, 401)
  t.equal((await here.fetch('/me')).status, 401)
  await turn()
  const once = ['/auth/refresh 401', '/me 401', '/me 401', '/me 401']
  t.strictSame(calls(), once, 'and asks no more')
  t.equal((await here.login('/login', ada)).status, 200, 'a new one may begin')
  t.equal((await here.fetch('/me')).status, 200)
})

t.test('a refusal that is older than a login in another tab ends nothing', async (t) => {
  const { open, network, send } = await start(t)
  const heard = signal()
  const late = open({ onToken: heard.done, onSessionEnd: () => t.fail('there is a new session') })
  const answer = hold(network, send)
  const restored = late.restore()
  await answer.arrived
  const here = open({ onSessionEnd: () => t.fail('there is a new session') })
  await here.login('/login', ada)
  await heard.reached
  answer.release()
  t.equal(await restored, true, 'it has heard of it')
  t.equal((await here.fetch('/me')).status, 200)
})

t.test('what is in flight during a logout comes to nothing, in all tabs', async (t) => {
  const { open, network, send, wait } = await start(t)
  const here = open()
  await here.login('/login', ada)
  wait(31 * minute)
  const answer = hold(network, send)
  const status = here.fetch('/me')
  await answer.arrived
  await here.logout()
  answer.release()
  t.equal((await status).status, 401)
  t.equal(await here.accessToken(), undefined)
})

t.test('what a tab tells that has not heard the latest is not believed', async (t) => {
  const { open, network, send } = await start(t)
  const { BroadcastChannel } = globalThis
  t.teardown(async () => { Object.assign(globalThis, { BroadcastChannel }) })
  const listeners: Channel[] = []
  class Channel {
    onmessage?: (event: { data: unknown }) => void
    constructor () { listeners.push(this) }
    postMessage (data: unknown) {
      for (const other of listeners) if (other !== this) other.onmessage?.({ data })
    }
  }
  Object.assign(globalThis, { BroadcastChannel: Channel })
  function openDeaf () {
    const tab = open()
    listeners.pop()
    return tab
  }

  const here = open()
  const answer = hold(network, send)
  const restored = openDeaf().restore()
  await answer.arrived
  await here.login('/login', ada)
  answer.release()
  t.equal(await restored, false)
  t.equal((await here.fetch('/me')).status, 200, 'a refusal from before the login')

  const next = hold(network, send)
  const another = openDeaf().restore()
  await next.arrived
  await here.logout()
  next.release()
  t.equal(await another, true)
  t.equal(await here.accessToken(), undefined, 'a token from before the logout')
})

t.test('nothing that one user began goes on in the name of another', async (t) => {
  const { open, clock, seen, network, send } = await start(t)
  let ended = 0
  const onSessionEnd = (reason: string) => {
    t.equal(reason, 'replaced')
    ended++
  }
  const here = open({ onSessionEnd })
  const there = open()
  await here.login('/login', ada)
  await there.restore()
  await there.login('/login', ada)
  t.equal((await here.fetch('/me')).status, 200, 'another session of the same user is taken over')
  t.equal(ended, 0)

  const { BroadcastChannel } = globalThis
  Object.assign(globalThis, { BroadcastChannel: undefined })
  const deaf = open({ onSessionEnd })
  Object.assign(globalThis, { BroadcastChannel })
  await deaf.restore()
  await there.login('/login', grace)
  await until(() => ended === 1)
  clock.pass(31 * minute)
  seen.length = 0
  t.equal((await deaf.fetch('/me')).status, 401)
  const calls = seen.map(({ path, status }) => `${path} ${status}`)
  t.strictSame(calls, ['/me 401', '/auth/refresh 200'], 'the request is not repeated')
  t.equal(ended, 2)
  t.equal(await here.restore(), true, 'the page may go on as the other one')

  await here.login('/login', ada)
  t.equal((await here.fetch('/me')).status, 200, 'as after a login of its own')
  t.equal(ended, 2)

  clock.pass(31 * minute)
  const answer = hold(network, send)
  const straggler = here.fetch('/me')
  await answer.arrived
  await here.login('/login', grace)
  answer.release()
  t.equal((await straggler).status, 401, 'nor is what was under way before the login')
})

t.test('tabs take turns, and the one that waited takes what the other one got', async (t) => {
  installLocks(t)
  const { open, wait, calls, network, send } = await start(t)
  const tabs = [open(), open(), open()]
  await tabs[0]?.login('/login', ada)
  await Promise.all(tabs.map(async (tab) => await tab.restore()))
  calls()
  wait(31 * minute)
  const responses = await Promise.all(tabs.map(async (tab) => await tab.fetch('/me')))
  t.strictSame(responses.map(({ status }) => status), [200, 200, 200])
  t.strictSame(calls().filter((call) => call.startsWith('/auth')), ['/auth/refresh 200'])

  wait(31 * minute)
  let asked = 0
  network.send = async () => {
    asked++
    throw new TypeError('fetch failed')
  }
  const failed = { message: 'refresh failed' }
  await Promise.all(tabs.map(async (tab) => await t.rejects(tab.fetch('/me'), failed)))
  t.equal(asked, 2, 'a failure of one tab is shared, too')
  wait(1000)
  network.send = send
  t.equal((await tabs[1]?.fetch('/me'))?.status, 200)
})

t.test('a lock that nobody gives back, or that may not be asked for, stops nobody', async (t) => {
  const awake = setInterval(() => {}, 100)
  t.teardown(async () => { clearInterval(awake) })
  const never = webLocks()
  never.request('', {}, async () => await new Promise(() => {})).catch(() => {})
  const forbidden = {
    request: async () => { throw new DOMException('a sandboxed frame', 'SecurityError') }
  }
  for (const locks of [never, forbidden]) {
    installLocks(t, locks)
    const { open, wait } = await start(t)
    const auth = open({ timeout: 0.5 })
    t.equal((await auth.login('/login', ada)).status, 200)
    wait(31 * minute)
    t.equal((await auth.fetch('/me')).status, 200)
  }
})

t.test('a tab that waited for one that was closed asks by itself', async (t) => {
  const locks = webLocks()
  installLocks(t, locks)
  const { open, calls } = await start(t)
  const auth = open()
  await auth.login('/login', ada)
  const tab = open()
  const closed = signal()
  const gone = locks.request('', {}, async () => await closed.reached)
  const restored = tab.restore()
  setImmediate(closed.done)
  await gone
  t.equal(await restored, true)
  t.strictSame(calls(), ['/login 200', '/auth/refresh 200'])
})

t.test('in Node the refresh token is in a storage of the application\'s', async (t) => {
  const refreshToken = { transports: ['cookie' as const, 'body' as const], paired: true }
  const { app, wait } = await start(t, { refreshToken })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const prefix = `${app.listeningOrigin}/auth`
  let kept: string | null = null
  let ended = 0
  const storage = {
    get: async () => kept,
    set: async (token: string) => { kept = token },
    clear: async () => { kept = null }
  }
  const auth = createClient({ prefix, storage, onSessionEnd: () => ended++ })
  t.equal(await auth.restore(), false)
  t.equal((await auth.login('/login', viaBody)).status, 200)
  const first = kept
  t.type(first, 'string')
  t.equal((await auth.fetch('/me')).status, 200, 'a path is one of the server')
  t.equal((await auth.fetch('me')).status, 200, 'also without a slash')
  t.equal((await auth.fetch(new Request(`${app.listeningOrigin}/me`))).status, 200)

  wait(31 * minute)
  t.equal((await auth.fetch('/me')).status, 200, 'paired: the access token goes along')
  t.not(kept, first)

  t.equal((await auth.logout()).status, 204)
  t.equal(kept, null)
  t.equal(ended, 1)
})
