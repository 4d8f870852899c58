import { buildSync } from 'esbuild'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../../lib/index'
import { secret, TestClock } from '../app'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

const entry = `
export { createClient } from './lib/client/client.mts'
export { dpopFetch } from './lib/client/dpop.mts'`

const bundle = (): string => buildSync({
  stdin: { contents: entry, resolveDir: process.cwd(), loader: 'ts' },
  bundle: true,
  format: 'esm',
  write: false
}).outputFiles[0]?.text ?? ''

// The clock of the page can be set, as that of the server can.
const pageOf = (options: string): string => `<!doctype html><title>page</title>
<script type="module">
import { createClient, dpopFetch } from '/client.js'
const real = performance.now.bind(performance)
window.passed = 0
performance.now = () => real() + window.passed
window.ended = 0
window.auth = createClient({
  timeout: 20, fetch: dpopFetch(), onSessionEnd: () => window.ended++, ${options}
})
window.ask = async (url) => (await window.auth.fetch(url)).status
</script>`

const storage = `storage: {
  get: () => localStorage.getItem('token'),
  set: (token) => localStorage.setItem('token', token),
  clear: () => localStorage.removeItem('token')
}`

/** Serves pages whose client holds a key; `/storage` keeps the refresh token in the page. */
export async function serveSite (t: Teardown, accessToken: AuthPluginOptions['accessToken'] = {}) {
  const clock = new TestClock()
  clock.ms = Date.now()
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(async () => await app.close())
  const calls: string[] = []
  app.addHook('onResponse', async ({ url, headers }, { statusCode }) => {
    if (headers['sec-fetch-dest'] === 'empty') calls.push(`${url} ${statusCode}`)
  })
  await app.register(authPlugin, {
    secret,
    store: new MemoryStore(clock),
    accessToken,
    refreshToken: { bindings: ['dpop'], transports: ['cookie', 'body'] }
  })
  const client = bundle()
  for (const [path, options] of [['/', ''], ['/storage', storage]] as const) {
    app.get(path, async (_request, reply) => await reply.type('text/html').send(pageOf(options)))
  }
  app.get('/client.js', async (_request, reply) =>
    await reply.type('text/javascript').send(client))
  app.post('/login', async (request, reply) => {
    const { sub, transport = 'cookie' } = request.body as { sub: string, transport?: 'body' }
    return await reply.login({ sub }, { transport, bound: true })
  })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  /** Returns what the pages have asked for since the last call, and how they were answered. */
  const take = (): string[] => calls.splice(0)
  return { app, clock, origin: `http://localhost:${port}`, calls: take }
}
