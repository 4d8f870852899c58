import fastifyCors from '@fastify/cors'
import { buildSync } from 'esbuild'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../../lib/index'
import { secret, TestClock } from '../app'
import type { Certificate } from './certificate'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

// `at-once` refreshes as it loads, or so many ms later, as a page does after a form login.
const pages = {
  bare: '<!doctype html><title>page</title>',
  'at-once': `<!doctype html><title>page</title><script>
    const wait = Number(location.search.slice(1))
    window.refreshed = new Promise((resolve) => setTimeout(resolve, wait))
      .then(() => fetch('/auth/refresh', { method: 'POST' })).then(({ status }) => status)
  </script>`,
  client: `<!doctype html><title>page</title><script type="module">
    import { createClient } from '/client.js'
    const real = performance.now.bind(performance)
    window.passed = 0
    performance.now = () => real() + window.passed
    window.ended = 0
    window.auth = createClient({ timeout: 5, onSessionEnd: () => window.ended++ })
    window.ask = async (url) => (await window.auth.fetch(url)).status
  </script>`
}

function bundle (file: string): string {
  const { outputFiles: [output] } = buildSync({
    entryPoints: [file], bundle: true, format: 'esm', write: false
  })
  return output?.text ?? ''
}

/** One request to a route of the plugin, and its answer. */
export interface Call {
  host: string
  path: string
  status: number
}

/**
 * Serves an application that binds sessions by HTTPS, on a port of its own and for every host of
 * `.test`: a browser has a quota of signatures for each.
 */
export async function serve (
  t: Teardown, { key, cert }: Certificate, options: Partial<AuthPluginOptions> = {}
) {
  const clock = new TestClock()
  const app = Fastify({ https: { key, cert }, forceCloseConnections: true })
  t.teardown(async () => await app.close())
  const calls: Call[] = []
  let broken = false
  app.addHook('onRequest', async ({ url }, reply) => {
    if (broken && url === '/auth/device') return await reply.code(503).send()
  })
  await app.register(fastifyCors, { origin: /^https:\/\/app\./, credentials: true })
  app.addHook('onResponse', async ({ url, host }, { statusCode: status }) => {
    if (url.startsWith('/auth')) calls.push({ host: host.split(':')[0] ?? '', path: url, status })
  })
  await app.register(authPlugin, {
    secret,
    refreshToken: { bindings: ['dbsc'] },
    ...(options.redis === undefined ? { store: new MemoryStore(clock) } : {}),
    ...options
  } as AuthPluginOptions)
  const form = 'application/x-www-form-urlencoded'
  app.addContentTypeParser(form, { parseAs: 'string' }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(body as string)))
  })
  app.get('/:page', async (request, reply) => {
    const { page } = request.params as { page: keyof typeof pages }
    return await reply.type('text/html').send(pages[page] ?? pages.bare)
  })
  let client = ''
  app.get('/client.js', async (_request, reply) => {
    client ||= bundle('lib/client/client.mts')
    return await reply.type('text/javascript').send(client)
  })
  app.post('/login', async (request, reply) => await reply.login(request.body as { sub: string }))
  app.post('/form', async (request, reply) => {
    const { sub, next } = request.body as { sub: string, next: string }
    await reply.login({ sub })
    return reply.redirect(next, 303)
  })
  app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    app,
    clock,
    /** Answers the device route 503, or no more. */
    break: (isBroken: boolean) => { broken = isBroken },
    originOf: (name: string) => `https://${name}.test:${port}`,
    /** What was asked of the plugin's routes by this host since the last call, as `path status`. */
    calls: (name: string) => {
      const own = calls.filter(({ host }) => host === `${name}.test`)
      for (const call of own) calls.splice(calls.indexOf(call), 1)
      return own.map(({ path, status }) => `${path} ${status}`)
    }
  }
}
