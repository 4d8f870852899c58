import { once } from 'node:events'
import { request as ask, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import {
  access, namesOf, refresh, runOut, start, type App, type Jar, type Options
} from './support/cookie-mode'
import { observe } from './support/events'
import { apply, recipe } from './support/recipe'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

const page = 'docs/pages.md'

interface Guarded {
  request: FastifyRequest
  reply: FastifyReply
}

type Site = Awaited<ReturnType<typeof serve>>

/** Serves the stream and the socket of docs/pages.md. */
async function serve (t: Test, options: Options = {}) {
  const readers = new Set<(news: string) => void>()
  const follow = (_sub: string, tell: (news: string) => void) => {
    readers.add(tell)
    return () => { readers.delete(tell) }
  }
  const guarded: Guarded[] = []
  const site = await start(t, {
    ...options,
    server: { forceCloseConnections: true },
    extend: async (app) => {
      app.addHook('preHandler', async (request, reply) => { guarded.push({ request, reply }) })
      const { whenEnded } = await recipe<{ whenEnded: unknown }>(page, 'function whenEnded')
      await apply(page, "fastify.get('/events'", app, { whenEnded, follow })
      await apply(page, 'fastifyWebsocket', app, { whenEnded })
    }
  })
  await site.app.listen({ port: 0, host: '127.0.0.1' })
  return { ...site, readers, guarded }
}

const portOf = (app: FastifyInstance): number => (app.server.address() as { port: number }).port

/** Opens the stream; resolves once it has begun. */
async function open ({ app }: Site, { header: cookie }: Jar): Promise<IncomingMessage> {
  const sent = ask({ port: portOf(app), path: '/events', headers: { cookie }, agent: false }).end()
  const [response] = await once(sent, 'response') as [IncomingMessage]
  return response
}

/** Opens the socket; returns what it has said by its end, and the code that it is closed with. */
async function greet ({ app }: Site, { header: cookie }: Jar) {
  const headers = {
    cookie,
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64')
  }
  const sent = ask({ port: portOf(app), path: '/chat', headers, agent: false }).end()
  const [, socket, head] = await once(sent, 'upgrade') as [unknown, Socket, Buffer]
  return { closed: readFrames(socket, head) }
}

/** Reads short frames until the one that closes. @see RFC 6455 §5.2 */
async function readFrames (socket: Socket, head: Buffer): Promise<string> {
  let bytes = head
  let said = ''
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    for (let [type, size = 0] = bytes; bytes.length >= 2 + size; [type, size = 0] = bytes) {
      const payload = bytes.subarray(2, 2 + size)
      if (type === 0x88) return `${said}, ${size < 2 ? 'no code' : payload.readUInt16BE()}`
      said += payload.toString()
      bytes = bytes.subarray(2 + size)
    }
  }
  throw new Error(`the socket ended after "${said}"`)
}

/** Opens both; returns what each of them has said by its end. */
async function openBoth (site: Site, jar: Jar) {
  const response = await open(site, jar)
  const { closed } = await greet(site, jar)
  for (const tell of site.readers) tell('news')
  return { ends: Promise.all([text(response), closed]) }
}

const ended = ['data: "news"\n\n', 'Hello ada, 4401']

for (const [how, ...names] of [['living', access, refresh], ['renewed', refresh]] as const) {
  t.test(`a stream and a socket end with their access token: ${how}`, async (t) => {
    const seen = observe(t)
    const site = await serve(t)
    const jar = (await site.login()).copy(...names)
    const { ends } = await openBoth(site, jar)
    site.clock.pass(runOut)
    t.strictSame(await ends, ended)
    await until('all to be tidied up', () => site.readers.size === 0)
    t.equal((await site.send(jar, '/me')).statusCode, 200, 'the session lives on')
    const { ends: again } = await openBoth(site, jar)
    site.clock.pass(runOut)
    t.strictSame(await again, ended, 'and they come back')
    t.strictSame(seen().filter(([name]) => name === 'reuse'), [])
  })
}

for (const [how, endSession] of Object.entries({
  'in another tab': async ({ send }: App, jar: Jar) => {
    await send(jar, '/auth/logout', { method: 'POST' })
  },
  'by the user from the list of devices': async ({ app }: App) => {
    await app.sessions.revokeAll('ada')
  }
})) {
  t.test(`a stream and a socket end with their session, ended on another node ${how}`, async (t) => {
    const server = await redisFor(t)
    const site = await serve(t, { redis: server.client() })
    const other = await start(t, { redis: server.client() })
    const jar = await site.login()
    const { ends } = await openBoth(site, jar)
    await endSession(other, jar)
    t.strictSame(await ends, ended)
    t.equal((await open(site, jar)).statusCode, 401, 'and they do not come back')
  })
}

t.test('what is followed is written to no stream that has ended, read or not', async (t) => {
  const site = await serve(t)
  const response = await open(site, await site.login())
  const much = 'news'.repeat(100_000)
  for (const tell of site.readers) for (let i = 0; i < 50; i++) tell(much)
  site.clock.pass(runOut)
  await until('the end', () => site.readers.size === 0)
  t.equal((await text(response)).length, 50 * `data: "${much}"\n\n`.length)
})

for (const [how, ...names] of [['living', access, refresh], ['renewed', refresh]] as const) {
  t.test(`what asks hours later whether it may go on presents no old token: ${how}`, async (t) => {
    const seen = observe(t)
    const site = await serve(t)
    for (const begin of [open, greet]) {
      const jar = await site.login()
      await begin(site, jar.copy(...names))
      const { request, reply } = site.guarded.at(-1) as Guarded
      const { writeHead } = reply.raw
      t.match(await request.authenticate(), { sub: 'ada' })
      t.equal(reply.raw.writeHead, writeHead, 'nothing is added to the answer')
      for (let i = 0; i < 3; i++) {
        site.clock.pass(runOut)
        t.equal((await site.visit(jar, '/me')).statusCode, 200)
        await t.rejects(request.authenticate(), { code: 'ACCESS_TOKEN_EXPIRED' })
      }
    }
    t.strictSame(seen().filter(([name]) => name === 'reuse' || name === 'repeat'), [])
  })
}

t.test('a token that expires while a body arrives is renewed by the next guard', async (t) => {
  const { login, send, clock } = await start(t, {
    extend: (app) => {
      app.post('/upload', {
        onRequest: app.authenticate,
        preParsing: async () => { clock.pass(runOut) },
        preHandler: app.authenticate
      }, async ({ user }) => user)
    }
  })
  const response = await send(await login(), '/upload', { method: 'POST', payload: {} })
  t.match(response.json(), { sub: 'ada' })
  t.strictSame(namesOf(response), [access, refresh])
})
