import { createReadStream, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { visitorsOf, type Visit } from './support/visitors'
import { access, refresh, start } from './support/cookie-mode'

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

const text = readFileSync(__filename, 'utf8')
const own = { 'cache-control': 'public, max-age=3600', 'set-cookie': 'theme=dark; Path=/' }

/** All ways to write an answer: what a handler does, and whether it says a cookie of its own. */
const ways: Record<string, Handler> = {
  'a value that is returned': () => ({ is: 'sent' }),
  'reply.send': (_request, reply) => { reply.headers(own).send('text') },
  'reply.send without a body': (_request, reply) => { reply.headers(own).code(204).send() },
  'a redirect': (_request, reply) => reply.headers(own).redirect('/elsewhere'),
  'a stream': (_request, reply) => reply.headers(own).send(createReadStream(__filename)),
  'a web stream': (_request, reply) =>
    reply.headers(own).send(Readable.toWeb(createReadStream(__filename))),
  'a web response': () => new Response('text', { headers: own }),
  'an error': () => { throw Object.assign(new Error('a teapot'), { statusCode: 418 }) },
  'hijack, writeHead with an object': (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, own).end('text')
  },
  'hijack, setHeader and writeHead without headers': (_request, reply) => {
    reply.hijack()
    for (const [name, value] of Object.entries(own)) reply.raw.setHeader(name, value)
    reply.raw.writeHead(200).end('text')
  },
  'hijack, write without writeHead': (_request, reply) => {
    reply.hijack()
    reply.raw.setHeader('set-cookie', [own['set-cookie']])
    reply.raw.write('te')
    reply.raw.end('xt')
  },
  'hijack, end alone': (_request, reply) => {
    reply.hijack()
    reply.raw.end('text')
  },
  'hijack, flushHeaders before the body': (_request, reply) => {
    reply.hijack()
    reply.raw.setHeader('Cache-Control', own['cache-control'])
    reply.raw.flushHeaders()
    reply.raw.end('text')
  },
  'hijack, a pipeline into the response': async (_request, reply) => {
    reply.hijack()
    await pipeline(createReadStream(__filename), reply.raw as NodeJS.WritableStream)
  }
}

/** What HTTP/2 has no word for: a status message, and headers as an array. */
const waysOfHttp1: Record<string, Handler> = {
  'hijack, writeHead with a status message': (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, 'Fine', own).end('text')
  },
  'hijack, writeHead with an array of names and values': (_request, reply) => {
    reply.hijack()
    const headers = Object.entries(own).flat()
    writeArray(reply, headers)
  }
}

// HTTP/2's writeHead is typed without it.
function writeArray ({ raw }: FastifyReply, headers: string[]): void {
  (raw as import('node:http').ServerResponse).writeHead(200, headers).end('text')
}

const pathOf = (name: string): string => `/${name.replaceAll(/\W+/g, '-')}`

for (const version of ['HTTP/1', 'HTTP/2'] as const) {
  t.test(`over ${version} cookies go with the headers, whoever writes them`, async (t) => {
    const all = version === 'HTTP/1' ? { ...ways, ...waysOfHttp1 } : ways
    const { app } = await start(t, {
      server: version === 'HTTP/2' ? { http2: true } as object : {},
      extend: (app) => {
        for (const [name, handler] of Object.entries(all)) {
          app.get(pathOf(name), { onRequest: app.authenticate }, handler as never)
        }
      }
    })
    const visit = await visitorsOf(t, app, version)
    for (const name of Object.keys(all)) await checkWay(t, app, visit, name)
  })
}

const isOurs = (line: string): boolean => line.startsWith('__Host-')

async function checkWay (
  t: InstanceType<typeof import('tap').Test>, app: FastifyInstance, visit: Visit, name: string
): Promise<void> {
  const { accessToken, refreshToken } = await app.sessions.open({ sub: 'ada' })
  const living = await visit(pathOf(name), `${access}=${accessToken}; ${refresh}=${refreshToken}`)
  const renewed = await visit(pathOf(name), `${refresh}=${refreshToken}`)
  t.equal(renewed.status, living.status, name)
  t.ok(renewed.status !== 401, name)
  t.equal(renewed.body, living.body, `${name}: the body is whole`)
  t.strictSame(living.cookies.filter(isOurs), [], name)
  const [ofAccess, ofRefresh, ...rest] = renewed.cookies.filter(isOurs)
  t.match(ofAccess, new RegExp(`^${access}=.*HttpOnly; Secure; SameSite=Lax`), name)
  t.match(ofRefresh, new RegExp(`^${refresh}=.*HttpOnly; Secure; SameSite=Lax`), name)
  t.strictSame(rest, [], name)
  t.strictSame(renewed.cookies.filter((line) => !isOurs(line)), living.cookies,
    `${name}: cookies of the application stay`)
  t.equal(renewed.headers['cache-control'], 'no-store', name)
  t.match(living.headers['cache-control'], /^(?:private|public, max-age=3600)$/, name)
  const again = await visit(pathOf(name), `${String(ofAccess).split(';')[0]}`)
  t.equal(again.status, living.status, `${name}: the new cookie is good`)
}

t.test('headers are a list, in which a name may come again, or pairs', async (t) => {
  const lists: Record<string, unknown[]> = {
    again: ['Set-Cookie', 'theme=dark', 'set-cookie', 'lang=en'],
    values: ['Set-Cookie', ['theme=dark', 'lang=en']],
    pairs: [['Set-Cookie', 'theme=dark'], ['set-cookie', 'lang=en'], ['x-more', 'x']],
    pair: [['Set-Cookie', ['theme=dark', 'lang=en']]]
  }
  const { app } = await start(t, {
    extend: (app) => {
      app.get('/:list', { onRequest: app.authenticate }, ({ params }, reply) => {
        reply.hijack()
        writeArray(reply, lists[(params as { list: string }).list] as string[])
      })
    }
  })
  const visit = await visitorsOf(t, app)
  const { accessToken, refreshToken } = await app.sessions.open({ sub: 'ada' })
  for (const list of Object.keys(lists)) {
    const living = await visit(`/${list}`, `${access}=${accessToken}`)
    t.strictSame(living.cookies, ['theme=dark', 'lang=en'], list)
    t.equal(living.headers['cache-control'], 'private')
    const { cookies } = await visit(`/${list}`, `${refresh}=${refreshToken}`)
    const names = cookies.map((line) => line.split('=')[0])
    t.strictSame(names, ['theme', 'lang', access, refresh], list)
  }
})

t.test('a file behind the guard goes into no shared cache together with cookies', async (t) => {
  const { app } = await start(t, {
    extend: async (app) => {
      await app.register(async (scope) => {
        scope.addHook('onRequest', scope.authenticate)
        await scope.register(fastifyStatic, { root: __dirname, prefix: '/files/', maxAge: '1h' })
      })
    }
  })
  const visit = await visitorsOf(t, app)
  const { accessToken, refreshToken } = await app.sessions.open({ sub: 'ada' })
  const path = '/files/late-cookies.test.ts'
  const living = await visit(path, `${access}=${accessToken}`)
  t.match(living.headers, { 'cache-control': 'public, max-age=3600', etag: String })
  t.equal(living.body, text)
  const renewed = await visit(path, `${refresh}=${refreshToken}`)
  t.equal(renewed.headers['cache-control'], 'no-store')
  t.equal(renewed.cookies.length, 2)
  t.equal(renewed.body, text)
  const etag = { 'if-none-match': String(living.headers.etag) }
  const unchanged = await visit(path, `${refresh}=${refreshToken}`, etag)
  t.match(unchanged, { status: 304, headers: { 'cache-control': 'no-store' } })
  t.equal(unchanged.cookies.length, 2)
  const part = await visit(path, `${refresh}=${refreshToken}`, { range: 'bytes=0-3' })
  t.match(part, { status: 206, body: text.slice(0, 4), headers: { 'cache-control': 'no-store' } })
  t.equal((await visit(path, '')).status, 401)
})
