import { buildSync } from 'esbuild'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../../lib/index'
import { secret, TestClock } from '../app'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

const client = buildSync({ entryPoints: ['lib/client/client.mts'], bundle: true, format: 'esm', write: false }).outputFiles[0]?.text ?? ''

// The page's clock can be set, as the server's can.
const page = `<!doctype html><title>page</title><script type="module">
import { createClient } from '/client.js'
const real = performance.now.bind(performance)
window.passed = 0
performance.now = () => real() + window.passed
window.ended = 0
window.auth = createClient({ timeout: 5, onSessionEnd: () => window.ended++ })
window.ask = async (url) => (await window.auth.fetch(url)).status
</script>`

/**
 * Serves an application with pages that have a client, on a port of its own; notes the statuses of
 * the plugin's routes.
 */
export async function serve (t: Teardown, options: Partial<AuthPluginOptions> = {}) {
  const clock = new TestClock()
  const app = Fastify({ forceCloseConnections: true })
  const calls: { url: string, status: number, site: unknown }[] = []
  let gate: Promise<void> | undefined
  let arrived = () => {}
  let expected = 0
  let waiting: (() => void)[] = []

  app.addHook('onRequest', async ({ url }) => {
    if (!url.startsWith('/auth/refresh') || expected === 0) return
    await new Promise<void>((resolve) => {
      waiting.push(resolve)
      if (waiting.length < expected) return
      for (const go of waiting) go()
      waiting = []
    })
  })
  app.addHook('onResponse', async ({ url, headers }, { statusCode: status }) => {
    if (url.startsWith('/auth')) calls.push({ url, status, site: headers['sec-fetch-site'] })
  })
  app.addHook('onSend', async ({ url }) => {
    if (!url.startsWith('/auth/refresh') || gate === undefined) return
    const held = gate
    gate = undefined
    arrived()
    await held
  })
  await app.register(authPlugin, { secret, store: new MemoryStore(clock), ...options })
  app.get('/', async (_request, reply) => await reply.type('text/html').send(page))
  app.get('/client.js', async (_request, reply) => await reply.type('text/javascript').send(client))
  app.post('/login', async (request, reply) => await reply.login(request.body as { sub: string }))
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  return {
    port,
    origin: `http://localhost:${port}`,
    clock,
    calls,
    app,
    /** Statuses of the refreshes since the last call. */
    refreshes: () => calls.splice(0).filter(({ url }) => url === '/auth/refresh').map(({ status }) => status),
    /**
     * Lets refreshes pass only when so many have arrived, all with the cookie that there was
     * before.
     */
    gather: (count: number) => { expected = count },
    /**
     * Holds the next answer of the refresh route back: `arrived` when the server has it, until
     * `release`.
     */
    hold () {
      let release = () => {}
      gate = new Promise((resolve) => { release = resolve })
      return { arrived: new Promise<void>((resolve) => { arrived = resolve }), release: () => release() }
    }
  }
}
