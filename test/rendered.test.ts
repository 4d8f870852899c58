import { once } from 'node:events'
import type { AsyncLocalStorage } from 'node:async_hooks'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import {
  request, type IncomingMessage, type RequestListener, type RequestOptions, type ServerResponse
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { FastifyInstance, RouteHandlerMethod } from 'fastify'
import { H3 } from 'h3'
import { toNodeHandler } from 'h3/node'
import { ServerRouter, useLoaderData } from 'react-router'
import t, { type Test } from 'tap'
import { access, refresh, start } from './support/cookie-mode'
import { hear } from './support/hear'
import { apply, recipe } from './support/recipe'
import { visitorsOf } from './support/visitors'

// They bring no types.
const { createElement } = require('react')
const { renderToPipeableStream, renderToString } = require('react-dom/server')

const page = 'docs/pages.md'

interface Render {
  currentUser: AsyncLocalStorage<{ sub: string }>
  render: (listener: RequestListener) => RouteHandlerMethod
}

/** Holds a page that says hello to: living, renewed, and not at all. */
async function hold (t: Test, app: FastifyInstance, path: string): Promise<void> {
  const visit = await visitorsOf(t, app)
  const { accessToken, refreshToken } = await app.sessions.open({ sub: 'ada' })
  const living = await visit(path, `${access}=${accessToken}`)
  t.match(living, { status: 200, body: /Hello .*ada/, cookies: [] })
  const renewed = await visit(path, `${refresh}=${refreshToken}`)
  t.match(renewed, { status: 200, body: /Hello .*ada/, headers: { 'cache-control': 'no-store' } })
  const names = renewed.cookies.map((line) => line.split('=')[0])
  t.strictSame(names.filter((name) => name?.startsWith('__Host-')), [access, refresh])
  const next = String(renewed.cookies.find((line) => line.startsWith(access))).split(';')[0] ?? ''
  t.match(await visit(path, next), { status: 200, body: /Hello .*ada/ })
  const refused = await visit(path, '')
  t.match(refused, { status: 401, body: /ACCESS_TOKEN_MISSING/ })
}

t.test('React streams into the raw response of a request that was renewed', async (t) => {
  const { app } = await start(t, {
    extend: (app) => {
      app.get('/page', { onRequest: app.authenticate }, ({ user }, reply) => {
        reply.hijack()
        reply.raw.setHeader('content-type', 'text/html')
        const hello = createElement('h1', null, 'Hello ', (user as { sub: string }).sub)
        const stream = renderToPipeableStream(hello, { onShellReady: () => stream.pipe(reply.raw) })
      })
    }
  })
  await hold(t, app, '/page')
})

t.test('React Router in its framework mode renders and posts inside the guard', async (t) => {
  const { currentUser, render } = await recipe<Render>(page, 'AsyncLocalStorage')
  const posted: unknown[] = []
  const build = {
    entry: {
      module: {
        default: (request: Request, status: number, headers: Headers, context: unknown) => {
          headers.set('content-type', 'text/html')
          headers.append('set-cookie', 'theme=dark')
          const router = createElement(ServerRouter, { context, url: request.url })
          return new Response(renderToString(router), { status, headers })
        }
      }
    },
    routes: {
      root: {
        id: 'root',
        path: '/app/page',
        module: {
          loader: ({ context }: { context: { user: { sub: string } } }) => context.user,
          action: async ({ request }: { request: Request }) => {
            posted.push(await request.text())
            return null
          },
          default: () => createElement('h1', null, 'Hello ', useLoaderData<{ sub: string }>().sub)
        }
      }
    },
    assets: {
      entry: { imports: [], module: '/entry.js' },
      routes: { root: { id: 'root', path: '/app/page', module: '/root.js', hasLoader: true } },
      url: '/manifest.js',
      version: '1'
    },
    publicPath: '/',
    assetsBuildDirectory: '.',
    future: {},
    ssr: true,
    isSpaMode: false,
    prerender: [],
    routeDiscovery: { mode: 'initial', manifestPath: '/__manifest' }
  }
  const { app } = await start(t, {
    extend: async (app) =>
      await apply(page, 'createRequestListener(', app, { build, currentUser, render })
  })
  await hold(t, app, '/app/page')

  const { refreshToken } = await app.sessions.open({ sub: 'ada' })
  const origin = `http://127.0.0.1:${(app.server.address() as { port: number }).port}`
  const post = async (headers: Record<string, string>) => await fetch(`${origin}/app/page`, {
    method: 'POST',
    body: 'text=hello',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      cookie: `${refresh}=${refreshToken}`,
      ...headers
    }
  })
  const foreign = await post({ origin: 'https://evil.example' })
  t.match(await foreign.json(), { code: 'CROSS_ORIGIN_REQUEST' })
  t.strictSame(posted, [])
  const own = await post({ origin })
  t.match(await own.text(), /Hello .*ada/)
  t.equal(own.headers.getSetCookie().filter((line) => line.startsWith('__Host-')).length, 2)
  t.strictSame(posted, ['text=hello'], 'the framework has read the body')
})

t.test('h3, which Nuxt and Nitro stand on, renders inside the guard', async (t) => {
  const { currentUser, render } = await recipe<Render>(page, 'AsyncLocalStorage')
  const h3 = new H3().get('/page', (event) => {
    event.res.headers.set('cache-control', 'public, max-age=60')
    event.res.headers.append('set-cookie', 'theme=dark')
    return `Hello ${currentUser.getStore()?.sub}`
  })
  const listener = toNodeHandler(h3) as unknown as RequestListener
  const { app } = await start(t, {
    extend: (app) => { app.get('/page', { onRequest: app.authenticate }, render(listener)) }
  })
  await hold(t, app, '/page')
})

t.test('a framework that resolves dots, as Next.js does, is handed guarded requests only', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'next-'))
  mkdirSync(join(dir, '.next/static'), { recursive: true })
  writeFileSync(join(dir, '.next/static/page.js'), 'a script')
  const handed: string[] = []
  const nextApp = {
    getRequestHandler: () => async (request: IncomingMessage, response: ServerResponse) => {
      const { pathname } = new URL(String(request.url), 'http://next')
      handed.push(`${request.method} ${pathname} ${await text(request)}`)
      const user = JSON.parse(decodeURIComponent(String(request.headers['x-user'])))
      response.writeHead(200, { 'cache-control': 's-maxage=60' }).end(`Hello ${user.sub}`)
    }
  }
  const { app } = await start(t, {
    extend: async (app) => { await apply(page, 'nextApp', app, { nextApp, dir }) }
  })
  await hold(t, app, '/page')
  const { port } = app.server.address() as AddressInfo
  const ask = async (path: string, { body, ...options }: RequestOptions & { body?: string }) => {
    const sent = request({ port, path, agent: false, ...options }).end(body)
    const [response] = await once(sent, 'response') as [IncomingMessage]
    return { status: response.statusCode, body: await text(response) }
  }
  handed.length = 0
  t.match(await ask('/_next/static/page.js', {}), { status: 200, body: 'a script' })
  for (const path of ['/page', '/_next/static/../../page', '/_next/static/%2e%2e/%2e%2e/page',
    '/_next/static/..%2f..%2fpage', '//page', '/_next/image', '/_next/static/../image']) {
    t.not((await ask(path, {})).status, 200, path)
  }
  t.strictSame(handed, [])

  const { refreshToken } = await app.sessions.open({ sub: 'Žofie' })
  const headers = { cookie: `${refresh}=${refreshToken}`, 'x-user': '%7B%22sub%22%3A%22eve%22%7D' }
  t.match(await ask('/page', { headers }), { status: 200, body: 'Hello Žofie' })
  const post = { method: 'POST', body: 'a=b' }
  const foreign = { ...headers, origin: 'https://evil.example' }
  t.equal((await ask('/page', { ...post, headers: foreign })).status, 403)
  t.equal((await ask('/page', { ...post, headers })).status, 200)
  t.strictSame(handed, ['GET /page ', 'POST /page a=b'], 'the framework has read the body')
})

t.test('a handshake of an own page is let in, living or renewed, and of no other', async (t) => {
  const { app } = await start(t, {
    trustedOrigins: ['https://friend.example'],
    extend: async (app) => {
      const { whenEnded } = await recipe<{ whenEnded: unknown }>(page, 'function whenEnded')
      await apply(page, 'fastifyWebsocket', app, { whenEnded })
    }
  })
  const { accessToken, refreshToken } = await app.sessions.open({ sub: 'ada' })
  const host = 'app.example'
  await app.listen({ port: 0, host: '127.0.0.1' })
  const greet = async (cookie: string, headers: Record<string, string>): Promise<string> =>
    await hear(app, '/chat', { host, cookie, ...headers })
  const own = { origin: 'https://app.example' }
  const renewed = `${refresh}=${refreshToken}`
  for (const cookie of [`${access}=${accessToken}`, renewed, renewed]) {
    t.equal(await greet(cookie, own), 'Hello ada')
    t.equal(await greet(cookie, { origin: 'https://friend.example' }), 'Hello ada')
    for (const origin of ['https://www.app.example', 'https://evil.example', 'null']) {
      await t.rejects(greet(cookie, { origin }), { message: /403/ }, origin)
    }
  }
  await t.rejects(greet('', own), { message: /401/ })
  t.match(await app.sessions.list('ada'), [{ generation: 1 }], 'what was not stored is not spent')
})
