import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { buildApp } from '../app.js'

const name = `ada-${randomBytes(6).toString('hex')}`
const password = 'a long password'
let app

before(async () => {
  // One proxy is in front, which tells the address of its client last.
  const redisUrl = process.env.REDIS_URL ?? 'redis://localhost'
  app = await buildApp({ secret: randomBytes(48), redisUrl, proxies: 1 })
  await app.ready()
})
after(async () => { await app.close() })

let address = 0
const send = async (method, url, { body, token, cookie, from = `10.0.0.${++address}` } = {}) => {
  const headers = { 'x-forwarded-for': from }
  if (token) headers.authorization = `Bearer ${token}`
  if (cookie) headers.cookie = cookie
  return await app.inject({ method, url, payload: body, headers })
}
/** The statuses of so many logins with a wrong password. */
const guess = async (times, next) => {
  const statuses = []
  for (let i = 0; i < times; i++) {
    const { name, from } = next(i)
    const body = { name, password: 'guess' }
    statuses.push((await send('POST', '/login', { body, from })).statusCode)
  }
  return statuses
}
const enter = async (url, body) => {
  const response = await send('POST', url, { body })
  assert.equal(response.statusCode, 200, response.body)
  const [{ name, value }] = response.cookies
  return { token: response.json().access_token, cookie: `${name}=${value}` }
}

test('a user signs up once, logs in, sees devices, and ends one', async () => {
  const first = await enter('/signup', { name, password })
  assert.equal((await send('POST', '/signup', { body: { name, password } })).statusCode, 409)
  assert.deepEqual(await guess(1, () => ({ name })), [403])
  assert.deepEqual(await guess(1, () => ({ name: 'nobody' })), [403])
  const second = await enter('/login', { name, password })
  const { devices } = (await send('GET', '/account/', first)).json()
  assert.deepEqual(devices.map(({ current }) => current), [true, false])
  assert.ok(devices.every(({ createdAt, refreshedAt }) => refreshedAt >= createdAt))
  assert.equal((await send('DELETE', `/account/devices/${devices[1].sid}`, first)).statusCode, 204)
  assert.equal((await send('GET', '/account/', second)).json().code, 'SESSION_REVOKED')
  assert.equal((await send('POST', '/auth/refresh', first)).statusCode, 200)
})

test('a change of password ends all other sessions', async () => {
  const here = await enter('/login', { name, password })
  const elsewhere = await enter('/login', { name, password })
  const change = async (old) => {
    const body = { old, new: 'another password' }
    return (await send('PUT', '/account/password', { ...here, body })).statusCode
  }
  assert.equal(await change('a wrong password'), 403)
  assert.equal(await change(password), 204)
  assert.equal((await send('GET', '/account/', elsewhere)).statusCode, 401)
  assert.equal((await send('GET', '/account/', here)).statusCode, 200)
  assert.equal((await send('POST', '/login', { body: { name, password } })).statusCode, 403)
})

test('guesses from one address are limited, whatever addresses the client invents', async () => {
  const statuses = await guess(11, (i) => ({ name: `eve-${i}`, from: `192.0.2.${i}, 10.1.0.1` }))
  assert.deepEqual(statuses, [...Array(10).fill(403), 429])
})

test('guesses at one name are limited, from however many addresses', async () => {
  const statuses = await guess(21, () => ({ name: 'grace' }))
  assert.deepEqual(statuses, [...Array(20).fill(403), 429])
  assert.deepEqual(await guess(1, () => ({ name: 'heidi' })), [403], 'another name is not')
})

test('an account that is deleted is gone, with all its sessions', async () => {
  const body = { name, password: 'another password' }
  const { token } = await enter('/login', body)
  assert.equal((await send('DELETE', '/account/', { token })).statusCode, 204)
  assert.equal((await send('GET', '/account/', { token })).statusCode, 401)
  assert.equal((await send('POST', '/login', { body })).statusCode, 403)
})

test('the page and its client are served', async () => {
  for (const url of ['/', '/main.js', '/client/client.mjs']) {
    assert.equal((await send('GET', url)).statusCode, 200, url)
  }
  assert.equal((await send('GET', '/account/')).statusCode, 401)
})
