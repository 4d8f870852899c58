import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createClient } from '../lib/client/client.mjs'
import helpers from './support/app.js'
import { signal, start, until } from './support/tab.mjs'

const { minute } = helpers
const ada = { claims: { sub: 'ada' } }
const viaBody = { claims: { sub: 'ada' }, options: { transport: 'body' } }

/** A storage that an application might have. */
function createStorage (token?: string) {
  const storage = {
    token,
    get: () => storage.token,
    set: (token: string) => { storage.token = token },
    clear: () => { storage.token = undefined }
  }
  return storage
}

t.test('each verdict on the session ends it, and says why', async (t) => {
  const verdicts: Array<[string, number, object]> = [
    ['expired', 401, { code: 'REFRESH_TOKEN_EXPIRED' }],
    ['expired', 401, { code: 'REFRESH_TOKEN_MISSING' }],
    ['expired', 401, { code: 'ACCESS_TOKEN_MISSING' }],
    ['reused', 401, { code: 'REFRESH_TOKEN_REUSED' }],
    ['revoked', 401, { code: 'REFRESH_TOKEN_INVALID' }],
    ['revoked', 401, { code: 'REFRESH_TOKEN_UNPROVEN' }],
    ['revoked', 401, { code: 'SESSION_REVOKED' }],
    ['reused', 401, { errors: [{ extensions: { mine: 'REFRESH_TOKEN_REUSED' } }] }],
    ['revoked', 400, { error: 'invalid_grant' }]
  ]
  for (const [reason, status, body] of verdicts) {
    const { open, network, send, wait } = await start(t)
    const reasons: string[] = []
    const auth = open({ onSessionEnd: (reason) => reasons.push(reason) })
    await auth.login('/login', ada)
    wait(31 * minute)
    network.send = async (request) =>
      request.url.endsWith('/refresh') ? Response.json(body, { status }) : await send(request)
    t.equal((await auth.fetch('/me')).status, 401)
    t.strictSame(reasons, [reason], JSON.stringify(body))
    t.equal(await auth.accessToken(), undefined)
  }
})

t.test('a session that has ended on the server is told by its reason', async (t) => {
  const { open, app, wait } = await start(t)
  const reasons: string[] = []
  const auth = open({ onSessionEnd: (reason) => reasons.push(reason) })
  await auth.login('/login', ada)
  await app.sessions.revokeAll('ada')
  t.equal(await auth.refresh(), false)
  await auth.login('/login', ada)
  wait(15 * 24 * 60 * minute)
  t.equal(await auth.refresh(), false)
  t.strictSame(reasons, ['revoked', 'expired'])
})

t.test('in cookie mode it says that it is not needed', async (t) => {
  const { open } = await start(t, { accessToken: { cookie: true } })
  const auth = open()
  const sentence = { message: 'no client in cookie mode' }
  await t.rejects(auth.login('/login', ada), sentence)
  await t.rejects(auth.restore(), { ...sentence, cause: { status: 200 } })
  await t.rejects(auth.fetch('/me'), sentence)
})

t.test('an answer of the application\'s own with a lifetime is no token response', async (t) => {
  const { open, network } = await start(t)
  const answer = { expires_in: 300, next: 'ONE_TIME_PASSWORD' }
  network.send = async () => Response.json(answer)
  t.strictSame(await (await open().login('/login', ada)).json(), answer)
})

t.test('a storage that fails once costs one call, and no session', async (t) => {
  const { open, wait } = await start(t, {
    refreshToken: { transports: ['cookie', 'body'], spentOn: 'issue' }
  })
  const storage = createStorage()
  const ends: string[] = []
  const auth = open({ storage, onSessionEnd: (reason) => ends.push(reason) })
  await auth.login('/login', viaBody)
  const stored = storage.token
  const { set } = storage
  storage.set = () => {
    storage.set = set
    throw new Error('locked')
  }
  await t.rejects(auth.refresh(), { message: 'locked' })
  t.equal(storage.token, stored)
  t.equal((await auth.fetch('/me')).status, 200, 'the access token came all the same')
  // Past the grace period, in which what the storage holds would be a repeat.
  wait(31 * minute)
  t.equal(await auth.refresh(), true)
  t.not(storage.token, stored)
  wait(31 * minute)
  t.equal(await open({ storage }).restore(), true, 'what it holds now is good')
  t.strictSame(ends, [])
})

t.test('a refresh and a logout that hang take no longer than the timeout', async (t) => {
  const waited: boolean[] = []
  const hang: typeof fetch = async (request) => {
    waited.push(!(request as Request).signal.aborted)
    return await fetch(request)
  }
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const prefix = `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth`
  const auth = createClient({ prefix, storage: createStorage('x'), fetch: hang, timeout: 0.1 })
  await t.rejects(auth.restore(), { message: 'refresh failed' })
  await t.rejects(auth.logout(), { name: 'TimeoutError' })
  t.strictSame(waited.filter(Boolean).length, 2, 'nobody waits again for what came too late')
})

t.test('a login that brings no refresh token for the storage rejects', async (t) => {
  const { open } = await start(t, { refreshToken: { transports: ['cookie', 'body'] } })
  const storage = createStorage()
  const auth = open({ storage })
  await t.rejects(auth.login('/login', ada), { message: 'no refresh token' })
  t.equal(storage.token, undefined)
  t.equal((await auth.login('/login', viaBody)).status, 200)
  t.type(storage.token, 'string')
})

t.test('a token that cannot be read is no obstacle to who has a storage', async (t) => {
  const { open, wait, app } = await start(t, { refreshToken: { transports: ['body'] } })
  const { atob } = globalThis
  t.teardown(async () => { Object.assign(globalThis, { atob }) })
  Object.assign(globalThis, { atob: undefined }) // as in React Native 0.73
  const reasons: string[] = []
  const onSessionEnd = (reason: string) => reasons.push(reason)
  const auth = open({ storage: createStorage(), onSessionEnd })
  await auth.login('/login', ada)
  wait(31 * minute)
  t.equal((await auth.fetch('/me')).status, 200)
  t.equal((await auth.logout()).status, 204)
  await auth.login('/login', ada)
  t.equal((await auth.fetch('/me')).status, 200)
  await app.sessions.revokeAll('ada')
  t.equal(await auth.refresh(), false)
  t.strictSame(reasons, ['logout', 'revoked'])
})

t.test('no redirect of the API gets a password or a refresh token', async (t) => {
  const seen: string[] = []
  const serve = async (listener: RequestListener) => {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    t.teardown(async () => { server.close() })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const elsewhere = await serve((request, response) => {
    seen.push(`${request.url}`)
    response.end('{}')
  })
  const calls: string[] = []
  const origin = await serve((request, response) => {
    calls.push(`${request.url}`)
    response.writeHead(307, { location: elsewhere }).end()
  })
  const storage = createStorage('secret')
  const auth = createClient({ prefix: `${origin}/auth`, storage })
  await t.rejects(auth.restore(), { message: 'refresh failed', cause: { status: 307 } })
  t.equal((await auth.login('/login', { password: 'x' })).status, 307)
  t.equal((await auth.logout()).status, 307)
  t.strictSame(seen, [])
  t.strictSame(calls, ['/auth/refresh', '/login', '/auth/logout'])
  t.equal(storage.token, 'secret')
})

t.test('a browser that has to prove its key asks once more, by its cookie only', async (t) => {
  const { open, network, calls, send } = await start(t, {
    refreshToken: { transports: ['cookie', 'body'] }
  })
  const redirect = () => Object.defineProperty(new Response(), 'type', { value: 'opaqueredirect' })
  const auth = open()
  await auth.login('/login', ada)
  network.send = async (request) =>
    request.url.endsWith('/refresh') ? redirect() : await send(request)
  t.equal(await auth.refresh(), true)
  t.strictSame(calls(), ['/login 200', '/auth/refresh?proof 200'])

  let asked = 0
  network.send = async () => {
    asked++
    return redirect()
  }
  await t.rejects(open().restore(), { message: 'refresh failed' })
  t.equal(asked, 2, 'and not again')
  await t.rejects(open({ storage: createStorage('x') }).restore(), { message: 'refresh failed' })
  t.equal(asked, 3)
})

t.test('where a browser keeps no more alive, it is asked without', async (t) => {
  const { open, network, send, calls } = await start(t)
  network.send = async (request) => {
    if (request.keepalive) throw new TypeError('Failed to fetch')
    return await send(request)
  }
  const auth = open()
  t.equal((await auth.login('/login', { ...ada, photo: 'x'.repeat(70_000) })).status, 200)
  t.equal(await auth.refresh(), true)
  t.equal((await auth.logout()).status, 204)
  t.strictSame(calls(), ['/login 200', '/auth/refresh 200', '/auth/logout 204'])
})

t.test('a client that is closed sends and hears nothing any more', async (t) => {
  const { open, calls } = await start(t)
  const auth = open({ onSessionEnd: () => t.fail('it hears nothing') })
  const other = open()
  await auth.login('/login', ada)
  await until(async () => await other.accessToken())
  auth.close()
  auth.close()
  calls()
  const closed = { message: 'closed' }
  await t.rejects(auth.login('/login', ada), closed)
  await t.rejects(auth.logout(), closed)
  await t.rejects(auth.fetch('https://elsewhere.test/'), closed)
  await t.rejects(auth.fetch('/me'), closed)
  await t.rejects(auth.restore(), closed)
  await t.rejects(auth.refresh(), closed)
  await t.rejects(auth.accessToken(), closed)
  t.strictSame(calls(), [])
  await other.logout()
  t.strictSame(calls(), ['/auth/logout 204'])
})

t.test('what is in flight when a client is closed is finished, and nothing else', async (t) => {
  const { open, network, send } = await start(t, { refreshToken: { transports: ['body'] } })
  for (const step of ['login', 'refresh'] as const) {
    network.send = send
    const storage = createStorage()
    const auth = open({ storage })
    await auth.login('/login', ada)
    const before = storage.token
    const arrived = signal()
    const held = signal()
    network.send = async (request) => {
      const response = await send(request)
      arrived.done()
      await held.reached
      return response
    }
    const begun = step === 'login' ? auth.login('/login', ada) : auth.refresh()
    await arrived.reached
    auth.close()
    const later = async (): Promise<unknown[]> => await Promise.all(
      [auth.accessToken(), auth.restore(), auth.refresh(), auth.fetch('/me')].map(async (call) =>
        await call.then(() => 'resolved', (error: Error) => error.message)))
    const meanwhile = later()
    held.done()
    await begun
    t.type(storage.token, 'string')
    t.not(storage.token, before, 'or the storage would be left with a token that is spent')
    t.strictSame(await meanwhile, Array(4).fill('closed'))
    t.strictSame(await later(), Array(4).fill('closed'), 'whatever token it has brought')
  }
})
