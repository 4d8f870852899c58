import fastifyCors from '@fastify/cors'
import { buildSync } from 'esbuild'
import Fastify, { type FastifyInstance } from 'fastify'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../../lib/index'
import { secret, TestClock } from '../app'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

const client = buildSync({
  entryPoints: ['lib/client/client.mts'], bundle: true, format: 'esm', write: false
}).outputFiles[0]?.text ?? ''

// The page's clock can be set, as the server's can.
const page = `<!doctype html><title>page</title><script type="module">
import { createClient } from '/client.js'
const real = performance.now.bind(performance)
window.passed = 0
performance.now = () => real() + window.passed
window.createClient = createClient
window.ended = 0
window.auth = createClient({ timeout: 3, onSessionEnd: () => window.ended++ })
window.ask = async (url) => (await window.auth.fetch(url)).status
</script>`

// A page that has no client, and refreshes twice, each time when it likes to.
const bare = `<!doctype html><title>bare</title><script>
window.post = async (url, body) => (await fetch(url, {
  method: 'POST', ...(body && { headers: { 'content-type': 'application/json' } }),
  body: JSON.stringify(body)
})).status
window.race = async () => {
  const statuses = []
  for (let i = 0; i < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
    statuses.push(await post('/auth/refresh'))
  }
  return statuses
}
window.ask = post
</script>`

/** A clock that goes on by itself, too. */
class TickingClock extends TestClock {
  readonly #started = Date.now()
  override readonly now = () => this.ms + Date.now() - this.#started
}

interface Site extends Partial<AuthPluginOptions> {
  /** Whether the server's clock goes on by itself. */
  ticking?: boolean
  /** The origin of the pages that may call it. */
  cors?: string
  /** Adds routes. */
  extend?: (app: FastifyInstance) => Promise<void>
}

/**
 * Serves an application with pages that have a client, on a port of its own; notes the statuses of
 * the plugin's routes.
 */
export async function serve (t: Teardown, { ticking, cors, extend, ...options }: Site = {}) {
  const clock = ticking === true ? new TickingClock() : new TestClock()
  const app: FastifyInstance = Fastify({ forceCloseConnections: true })
  const calls: { url: string, status: number, site: unknown }[] = []
  let gate: Promise<void> | undefined
  let arrived = () => {}
  let expected = 0
  let waiting: Array<() => void> = []
  let mostDelay = 0
  let retryAfter = 0
  const delay = async () => {
    const ms = Math.random() * mostDelay
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
  }

  if (cors !== undefined) {
    const exposedHeaders = ['Retry-After', 'WWW-Authenticate', 'DPoP-Nonce']
    await app.register(fastifyCors, { origin: cors, credentials: true, exposedHeaders })
  }
  app.addHook('onRequest', async ({ url, method }, reply) => {
    if (!url.startsWith('/auth/refresh') || method !== 'POST') return
    await delay()
    if (retryAfter > 0) return await reply.code(503).header('retry-after', retryAfter).send()
  })

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
    if (!url.startsWith('/auth/refresh')) return
    await delay()
    if (gate === undefined) return
    const held = gate
    gate = undefined
    arrived()
    await held
  })
  await app.register(authPlugin, { secret, store: new MemoryStore(clock), ...options })
  app.get('/', async (_request, reply) => await reply.type('text/html').send(page))
  app.get('/bare', async (_request, reply) => await reply.type('text/html').send(bare))
  app.post('/slow', async () => await new Promise(() => {}))
  app.get('/client.js', async (_request, reply) =>
    await reply.type('text/javascript').send(client))
  app.post('/login', async (request, reply) => {
    const { sub } = request.body as { sub: string }
    return await reply.login({ sub })
  })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  await extend?.(app)
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
    refreshes: () => calls.splice(0).filter(({ url }) => url === '/auth/refresh')
      .map(({ status }) => status),
    /** Lets each refresh and each answer take up to so many ms longer. */
    jitter: (ms: number) => { mostDelay = ms },
    /** Answers refreshes 503, to be asked again in so many seconds. */
    break: (seconds: number) => { retryAfter = seconds },
    /** Lets refreshes pass only when so many have arrived, all with the same cookie. */
    gather: (count: number) => { expected = count },
    /** Holds the next answer to a refresh back: `arrived` when the server has it. */
    hold () {
      let release = () => {}
      gate = new Promise((resolve) => { release = resolve })
      const reached = new Promise<void>((resolve) => { arrived = resolve })
      return { arrived: reached, release: () => release() }
    }
  }
}
