// express-session with connect-redis, as the README of connect-redis has it.
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { once } from 'node:events'
import { createClient } from 'redis'
import { idleLifetime, secret } from '../serve.mjs'

async function start (port) {
  const client = await createClient({ socket: { port } }).connect()
  const app = express()
  app.use(session({
    secret,
    store: new RedisStore({ client, prefix: 'express-session:', ttl: idleLifetime }),
    resave: false,
    saveUninitialized: false
  }))
  app.post('/login', express.json(), (request, response) => {
    request.session.sub = request.body.sub
    response.json({})
  })
  app.get('/me', ({ session: { sub } }, response) => {
    if (sub) response.json({ sub })
    else response.status(401).json({ error: 'Unauthorized' })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

export const contenders = {
  'express-session': { start, login: true, authenticate: 'cookie' }
}
