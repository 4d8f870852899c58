import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { buildApp } from '../app.js'

const name = `ada-${randomBytes(6).toString('hex')}`
const password = 'a long password'
let app

before(async () => {
  app = await buildApp({ secret: randomBytes(48), redisUrl: process.env.REDIS_URL ?? 'redis://localhost' })
  await app.ready()
})
after(async () => { await app.close() })

let address = 0
const send = async (method, url, { body, token, cookie, from = `10.0.0.${++address}` } = {}) => await app.inject({
  method, url, payload: body, remoteAddress: from, headers: { ...(token && { authorization: `Bearer ${token}` }), ...(cookie && { cookie }) }
})
const enter = async (url, body) => {
  const response = await send('POST', url, { body })
  assert.equal(response.statusCode, 200, response.body)
  const [{ name, value }] = response.cookies
  return { token: response.json().access_token, cookie: `${name}=${value}` }
}

test('a user signs up once, logs in, sees devices, and ends one', async () => {
  const first = await enter('/signup', { name, password })
  assert.equal((await send('POST', '/signup', { body: { name, password } })).statusCode, 409)
  assert.equal((await send('POST', '/login', { body: { name, password: 'a wrong password' } })).statusCode, 403)
  assert.equal((await send('POST', '/login', { body: { name: 'nobody', password: 'nobody' } })).statusCode, 403)
  const second = await enter('/login', { name, password })
  const { devices } = (await send('GET', '/account/', first)).json()
  assert.deepEqual(devices.map(({ current }) => current), [true, false])
  assert.equal((await send('DELETE', `/account/devices/${devices[1].sid}`, first)).statusCode, 204)
  assert.equal((await send('GET', '/account/', second)).json().code, 'SESSION_REVOKED')
  assert.equal((await send('POST', '/auth/refresh', first)).statusCode, 200)
})

test('a change of password ends all other sessions', async () => {
  const here = await enter('/login', { name, password })
  const elsewhere = await enter('/login', { name, password })
  const change = async (old) => (await send('PUT', '/account/password', { ...here, body: { old, new: 'another password' } })).statusCode
  assert.equal(await change('a wrong password'), 403)
  assert.equal(await change(password), 204)
  assert.equal((await send('GET', '/account/', elsewhere)).statusCode, 401)
  assert.equal((await send('GET', '/account/', here)).statusCode, 200)
  assert.equal((await send('POST', '/login', { body: { name, password } })).statusCode, 403)
})

test('guesses are limited', async () => {
  const statuses = []
  for (let i = 0; i < 11; i++) statuses.push((await send('POST', '/login', { body: { name: 'eve', password: 'guess' }, from: '10.1.0.1' })).statusCode)
  assert.deepEqual(statuses, [...Array(10).fill(403), 429])
})

test('an account that is deleted is gone, with all its sessions', async () => {
  const { token } = await enter('/login', { name, password: 'another password' })
  assert.equal((await send('DELETE', '/account/', { token })).statusCode, 204)
  assert.equal((await send('GET', '/account/', { token })).statusCode, 401)
  assert.equal((await send('POST', '/login', { body: { name, password: 'another password' } })).statusCode, 403)
})

test('the page and its client are served', async () => {
  for (const url of ['/', '/main.js', '/client/client.mjs']) assert.equal((await send('GET', url)).statusCode, 200, url)
  assert.equal((await send('GET', '/account/')).statusCode, 401)
})
