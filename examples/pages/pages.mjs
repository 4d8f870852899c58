// Server-rendered pages with plain forms, images, a download, an EventSource and a WebSocket behind
// the guard. No page has any code for its login.
import fastifyFormbody from '@fastify/formbody'
import fastifyWebsocket from '@fastify/websocket'
import authPlugin from 'fastify-jwt-sessions'
import { devicesPage, homePage, loginPage, picture } from './html.mjs'
import { landing } from './landing.mjs'
import { nameDevice } from './name-device.mjs'
import { whenEnded } from './when-ended.mjs'

const passwords = new Map([['ada', 'lovelace'], ['grace', 'hopper']])
const notesOf = new Map([...passwords.keys()].map((name) => [name, []]))
const readers = new Set()

/** Serves the pages below the prefix of its scope. */
export async function pages (app, { secret, store, lifetime, stylesheet }) {
  const home = `${app.prefix}/`
  const site = { home, lifetime, stylesheet }

  await app.register(fastifyFormbody)
  await app.register(fastifyWebsocket)
  await app.register(authPlugin, {
    secret,
    store,
    accessToken: { cookie: true, lifetime }
  })

  // Pages are sent to the login; everything else is told by a status.
  app.setErrorHandler((error, request, reply) => {
    const isPage = request.headers.accept?.includes('text/html')
    if (error.statusCode !== 401 || !isPage) return reply.send(error)
    const to = request.method === 'GET' ? request.url : home
    return reply.redirect(`${home}login?to=${encodeURIComponent(to)}`, 303)
  })

  app.get('/login', async ({ query }, reply) =>
    await reply.type('text/html').send(loginPage(site, landing(query.to ?? home), false)))

  app.post('/login', async (request, reply) => {
    const { username, password, to } = request.body
    if (!passwords.has(username) || passwords.get(username) !== password) {
      return await reply.code(403).type('text/html').send(loginPage(site, landing(to ?? home), true))
    }
    await reply.login({ sub: username }, { device: nameDevice(request.headers['user-agent']) })
    return reply.redirect(landing(to ?? home), 303)
  })

  app.post('/logout', async (_request, reply) => {
    await reply.logout()
    return reply.redirect(`${home}login`, 303)
  })

  // All that follows is behind the guard.
  await app.register(async (scope) => {
    scope.addHook('onRequest', scope.authenticate)

    scope.get('/', async ({ user }, reply) =>
      await reply.type('text/html').send(homePage(site, user.sub, notesOf.get(user.sub))))

    scope.get('/pictures/:number.svg', async ({ params }, reply) =>
      await reply.type('image/svg+xml').send(picture(Number(params.number))))

    scope.post('/notes', async ({ user, body }, reply) => {
      const text = String(body.text).slice(0, 200)
      notesOf.get(user.sub).push(text)
      for (const tell of readers) tell(user.sub, text)
      return reply.redirect(home, 303)
    })

    scope.get('/notes.txt', async ({ user }, reply) => {
      reply.header('content-disposition', 'attachment; filename="notes.txt"')
      return await reply.type('text/plain').send(`${notesOf.get(user.sub).join('\n')}\n`)
    })

    // Both end with the access token or the session. An EventSource connects again by itself.
    scope.get('/news', (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      const tell = (sub, text) => {
        if (sub === request.user.sub) reply.raw.write(`data: ${JSON.stringify(text)}\n\n`)
      }
      readers.add(tell)
      // A write after the end would be an error that nobody catches.
      const forget = whenEnded(request, () => { readers.delete(tell); reply.raw.end() })
      reply.raw.on('close', () => { readers.delete(tell); forget() })
    })

    scope.get('/chat', { websocket: true }, (socket, request) => {
      socket.on('close', whenEnded(request, () => socket.close(4401)))
      socket.send(`Connected as ${request.user.sub}`)
    })

    scope.get('/devices', async ({ user, sid: current }, reply) => {
      const devices = (await app.sessions.list(user.sub)).map(
        ({ sid, device, createdAt, refreshedAt }) => {
          // To the minute: who knows the very moment could refresh right after the owner.
          const seenAt = Math.max(createdAt, refreshedAt - refreshedAt % 60_000)
          return { sid, device, createdAt, refreshedAt: seenAt, current: sid === current }
        })
      return await reply.type('text/html').send(devicesPage(site, devices))
    })

    scope.post('/devices/:sid', async ({ user, params }, reply) => {
      await app.sessions.revoke(user.sub, params.sid)
      return reply.redirect(`${home}devices`, 303)
    })

    scope.post('/everywhere', async (_request, reply) => {
      await reply.logout({ all: true })
      return reply.redirect(`${home}login`, 303)
    })
  })
}
