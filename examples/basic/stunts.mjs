// What goes wrong in the world, at the press of a button. An application has none of this.
import { subscribe } from 'node:diagnostics_channel'

const state = { away: false, losing: false, loot: undefined }
const log = []

const note = (event, { sub = '', sid = '', generation = '', text = '' }) => {
  log.push({ id: log.length, event, sub, sid: sid.slice(0, 6), generation, text })
}
const events = [
  'login', 'bind', 'refresh', 'repeat', 'reuse', 'unproven', 'logout', 'revoke', 'store-error'
]
for (const event of events) {
  subscribe(`fastify-jwt-sessions:${event}`, (message) => note(event, message))
}

/** Here an e-mail would go out. */
export const tellUser = (sub, text) => note('mail', { text: `to ${sub}: ${text}` })

/** Wraps a store that can be taken away. */
export const removable = (store) => new Proxy(store, {
  get (target, name) {
    const value = Reflect.get(target, name)
    if (typeof value !== 'function') return value
    const asks = ['create', 'find', 'list', 'rotate', 'end', 'endAll', 'bind'].includes(name)
    const fail = async () => { throw new Error('the store has been taken away') }
    return asks && state.away ? fail : value.bind(target)
  }
})

/** Loses the next response of the refresh route on its way to the browser. */
export const loseResponse = async (request, reply, payload) => {
  if (state.losing && request.headers['user-agent'] !== 'thief') {
    state.losing = false
    request.raw.socket.destroy()
  }
  return payload
}

/** The buttons' routes. They are under /auth, since the browser sends the cookie nowhere else. */
export async function stunts (app, { passwords }) {
  app.get('/auth/stunts', async () => ({ away: state.away, log: log.slice(-50) }))

  app.post('/auth/stunts/lose', async () => {
    state.losing = true
    return {}
  })

  app.post('/auth/stunts/store', async () => {
    state.away = !state.away
    return { away: state.away }
  })

  app.post('/auth/stunts/steal', async (request) => {
    state.loot = request.headers.cookie
    return { stolen: state.loot !== undefined }
  })

  app.post('/auth/stunts/replay', async () => {
    const headers = { cookie: state.loot, 'user-agent': 'thief' }
    const send = async (url) => await app.inject({ method: 'POST', url, headers })
    let response = await send('/auth/refresh')
    // A browser would bring a proof now.
    if (response.statusCode === 307) response = await send('/auth/refresh?proof')
    const { code = 'a new access token' } = response.json()
    const answer = `${response.statusCode}, ${code}`
    note('thief', { text: `is answered ${answer}` })
    const isBound = /UNPROVEN|PROOF_MISSING/.test(code)
    return { answer, outcome: isBound ? 'bound' : response.statusCode === 200 ? 'fresh' : 'spent' }
  })

  app.post('/auth/stunts/device', { onRequest: app.authenticate }, async ({ user }) => {
    const payload = { username: user.sub, password: passwords[user.sub] }
    await app.inject({
      method: 'POST',
      url: '/login',
      headers: { 'user-agent': 'Safari/ (iPhone)' },
      payload
    })
    return {}
  })
}
