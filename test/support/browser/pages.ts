import { once } from 'node:events'
import fastifyFormbody from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../../../lib/index'
import { minute, secret, TestClock } from '../app'
import type { Certificate } from '../dbsc/certificate'
import { apply, recipe, textOf } from '../recipe'

type Extend = (app: FastifyInstance) => unknown
type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

/** One request, and its answer. */
export interface Call {
  what: string
  status: number
  site: unknown
  /** Whether cookies came with the answer. */
  renewed: boolean
}

export const html = (body: string): string => `<!doctype html><title>page</title>${body}`

const recipes = 'docs/pages.md'
/** Returns what the page of recipes puts into pages: the code block in which these words stand. */
export const markup = (words: string): string => [...textOf(recipes).matchAll(/^```html\n(.*?)^```$/gms)]
  .map(([, code = '']) => code).filter((code) => code.includes(words)).join('')
const live = html(markup('new EventSource') + markup('new WebSocket'))

const page = html(`<h1>Hello</h1>
<form method="post" action="/notes"><input name="text"><button>Add</button></form>
<a href="/report.csv">Download</a>`)

/** Serves pages without any code for logins by HTTPS, for every host of `.test`. */
export async function servePages (
  t: Teardown,
  { key, cert }: Certificate,
  { extend, ...options }: Partial<AuthPluginOptions> & { extend?: Extend } = {}
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
  const noted = new WeakSet<FastifyRequest>()
  const note = (request: FastifyRequest, { statusCode: status, raw }: FastifyReply): void => {
    if (noted.has(request)) return
    noted.add(request)
    const { method, url, headers } = request
    const renewed = raw.getHeader('set-cookie') !== undefined
    calls.push({ what: `${method} ${url}`, status, site: headers['sec-fetch-site'], renewed })
  }
  app.addHook('onResponse', async (request, reply) => { note(request, reply) })
  // A page leaves its streams before they end.
  app.addHook('onRequest', async (request, reply) => {
    reply.raw.once('close', () => { note(request, reply) })
  })
  await app.register(fastifyFormbody)
  await app.register(authPlugin, {
    secret, store: new MemoryStore(clock), accessToken: { cookie: true }, ...options
  })
  const { landing } = await recipe<{ landing: unknown }>(recipes, 'function landing')
  const checkPassword = async ({ username: id }: { username: string }) => ({ id })
  await apply(recipes, "fastify.post('/login'", app, { landing, checkPassword })
  await apply(recipes, 'hx-redirect', app)

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
  app.get('/live', guard, async (_request, reply) => await reply.type('text/html').send(live))
  const { whenEnded } = await recipe<{ whenEnded: unknown }>(recipes, 'function whenEnded')
  const readers = new Set<(news: string) => void>()
  const follow = (_sub: string, tell: (news: string) => void) => {
    readers.add(tell)
    tell('hello')
    return () => { readers.delete(tell) }
  }
  await apply(recipes, "fastify.get('/events'", app, { whenEnded, follow })
  await apply(recipes, 'fastifyWebsocket', app, { whenEnded })
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
  await extend?.(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  return {
    app,
    clock,
    notes,
    /** Sends news to all who follow them. */
    tell: (news: string) => { for (const tell of readers) tell(news) },
    readers,
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
