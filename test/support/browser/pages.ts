import { once } from 'node:events'
import fastifyFormbody from '@fastify/formbody'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../../lib/index'
import { minute, secret, TestClock } from '../app'
import type { Certificate } from '../dbsc/certificate'
import { apply, recipe } from '../recipe'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

/** One request, and its answer. */
export interface Call {
  what: string
  status: number
  site: unknown
  /** Whether cookies came with the answer. */
  renewed: boolean
}

const html = (body: string): string => `<!doctype html><title>page</title>${body}`

const page = html(`<h1>Hello</h1>
<form method="post" action="/notes"><input name="text"><button>Add</button></form>
<a href="/report.csv">Download</a>`)

/** Serves pages without any code for logins by HTTPS, for every host of `.test`. */
export async function servePages (
  t: Teardown, { key, cert }: Certificate, options: Partial<AuthPluginOptions> = {}
) {
  const clock = new TestClock()
  const app = Fastify({ https: { key, cert }, forceCloseConnections: true })
  t.teardown(async () => await app.close())
  const calls: Call[] = []
  const notes: string[] = []
  let expected = 0
  let waiting: Array<() => void> = []
  let held: Array<() => void> = []

  app.addHook('onRequest', async () => {
    if (expected === 0) return
    await new Promise<void>((resolve) => {
      if (waiting.push(resolve) < expected) return
      for (const go of waiting) go()
      waiting = []
      expected = 0
    })
  })
  app.addHook('onResponse', async ({ method, url, headers }, { statusCode: status, raw }) => {
    const renewed = raw.getHeader('set-cookie') !== undefined
    calls.push({ what: `${method} ${url}`, status, site: headers['sec-fetch-site'], renewed })
  })
  await app.register(fastifyFormbody)
  await app.register(fastifyWebsocket)
  await app.register(authPlugin, {
    secret, store: new MemoryStore(clock), accessToken: { cookie: true }, ...options
  })
  const { landing } = await recipe<{ landing: unknown }>('docs/pages.md', 'function landing')
  const checkPassword = async ({ username: id }: { username: string }) => ({ id })
  await apply('docs/pages.md', "fastify.post('/login'", app, { landing, checkPassword })
  await apply('docs/pages.md', 'isPage', app)

  const guard = { onRequest: app.authenticate }
  app.get('/page', guard, async (_request, reply) => await reply.type('text/html').send(page))
  app.post('/notes', guard, async ({ body }, reply) => {
    notes.push((body as { text: string }).text)
    return reply.redirect('/page', 303)
  })
  app.get('/picture', guard, async (_request, reply) => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>'
    return await reply.type('image/svg+xml').send(svg)
  })
  app.get('/report.csv', guard, async (_request, reply) =>
    await reply.header('content-disposition', 'attachment').type('text/csv').send('a,b\n'))
  app.get('/events', guard, (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: hello\n\n')
  })
  app.get('/socket', { ...guard, websocket: true }, (socket) => { socket.send('hello') })
  app.get('/slow', guard, async ({ raw }, reply) => {
    const closed = once(raw.socket, 'close')
    await Promise.race([new Promise<void>((resolve) => { held.push(resolve) }), closed])
    return await reply.type('text/html').send(page)
  })
  app.get('/favicon.ico', async (_request, reply) => await reply.code(204).send())
  // What other hosts serve.
  app.get('/other', async ({ query }, reply) => {
    const { to } = query as { to?: string }
    return await reply.type('text/html').send(html(`<a href="${to}">link</a>`))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  return {
    app,
    clock,
    notes,
    originOf: (host: string) => `https://${host}.test:${port}`,
    /** Has the access cookie run out. */
    expire: () => { clock.pass(31 * minute) },
    /** What was answered since the last call. */
    calls: () => calls.splice(0),
    /** Lets requests pass only when so many have arrived, all with the same cookies. */
    gather: (count: number) => { expected = count },
    /** How many requests for `/slow` have been let in and wait. */
    slow: () => held.length,
    /** Answers the requests for `/slow`. */
    release: () => {
      for (const go of held) go()
      held = []
    }
  }
}
