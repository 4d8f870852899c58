import axios from 'axios'
import ky from 'ky'
import { QueryClient } from '@tanstack/query-core'
import t from 'tap'
import { createClient } from '../lib/client/client.mjs'
import helpers from './support/app.js'

const viaBody = { claims: { sub: 'ada' }, options: { transport: 'body' } }

/** A client that is logged in at a server, and whose access token runs out at once. */
async function start (t: Parameters<typeof helpers.build>[0], onSessionEnd?: () => void) {
  const { app, clock } = await helpers.build(t, { refreshToken: { transports: ['body'] } })
  await app.listen({ port: 0, host: '127.0.0.1' })
  let kept: string | undefined
  const storage = {
    get: () => kept,
    set: (token: string) => {
      kept = token
    },
    clear: () => {
      kept = undefined
    }
  }
  const auth = createClient({ prefix: `${app.listeningOrigin}/auth`, storage, onSessionEnd })
  await auth.login('/login', viaBody)
  const runOut = () => clock.pass(31 * helpers.minute)
  return { app, auth, origin: app.listeningOrigin, runOut }
}

t.test('axios goes through the client', async (t) => {
  const { auth, origin, runOut } = await start(t)
  const api = axios.create({
    baseURL: origin,
    adapter: 'fetch',
    env: { fetch: auth.fetch, Request: undefined, Response: undefined }
  })
  runOut()
  t.match((await api.get('/me')).data, { user: { sub: 'ada' } })
  await auth.logout()
  t.match(await api.get('/me').catch((error: unknown) => error), { response: { status: 401 } })
})

t.test('ky goes through the client', async (t) => {
  const { auth, origin, runOut } = await start(t)
  const api = ky.create({ fetch: auth.fetch })
  runOut()
  t.match(await api.get(`${origin}/me`).json(), { user: { sub: 'ada' } })
  await auth.logout()
  t.match(await api.get(`${origin}/me`).catch((error: unknown) => error), {
    response: { status: 401 }
  })
})

t.test('TanStack Query asks through the client, and forgets what a user saw', async (t) => {
  const queries = new QueryClient()
  t.teardown(async () => { queries.clear() })
  const { auth, origin, runOut } = await start(t, () => queries.clear())
  async function load<T> (url: string, signal: AbortSignal): Promise<T> {
    const response = await auth.fetch(url, { signal })
    if (!response.ok) {
      throw Object.assign(new Error(`${response.status} ${url}`), { status: response.status })
    }
    return await response.json() as T
  }
  const me = {
    queryKey: ['me'],
    queryFn: async ({ signal }: { signal: AbortSignal }) =>
      await load<{ user: { sub: string } }>(`${origin}/me`, signal),
    retry: (count: number, { status }: Error & { status?: number }) => status !== 401 && count < 3
  }
  runOut()
  t.match(await queries.fetchQuery(me), { user: { sub: 'ada' } })
  await auth.logout()
  t.equal(queries.getQueryData(['me']), undefined)
  t.match(
    await queries.fetchQuery(me).catch((error: unknown) => error),
    { status: 401 },
    'at once, without three more attempts'
  )
})
