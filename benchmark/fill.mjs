import { RedisStore } from '../dist/index.mjs'
import { packContent, userTagOf } from '../dist/session/content.js'
import { randomBytes } from 'node:crypto'
import { sub } from './wire.mjs'

const day = 24 * 3600 * 1000
const timeout = 10_000
const defaults = { perUser: 1, prefix: 'jwt:', idleLifetime: 14 * day, bound: false }

/**
 * Opens sessions for users in a row, each with a `sub` of 12 characters and a device label of 20,
 * straight in the store; with `bound` each is bound to a key of its own.
 */
export async function fill (client, users, options = {}) {
  const { perUser, prefix, idleLifetime, bound } = { ...defaults, ...options }
  const store = new RedisStore(client, { prefix })
  await store.open(1000)
  const creation = { signer: 'abc', idleLifetime, absoluteLifetime: 90 * day, maxSessions: 50 }
  const open = async (user) => {
    const sid = randomBytes(16).toString('base64url')
    const content = packContent({
      sub: user,
      claims: {},
      device: 'Firefox on Linux x64',
      data: undefined,
      transport: 'cookie',
      remember: true,
      dpop: false
    })
    await store.create(userTagOf(user), { ...creation, sid, content }, timeout)
    const boundTo = randomBytes(12).toString('base64url')
    if (bound) await store.bind(userTagOf(user), { sid, boundTo }, timeout)
  }
  for (let i = 0; i < users; i += 500) {
    const logins = Array.from({ length: Math.min(500, users - i) * perUser }, async (_, j) =>
      await open(sub(i + Math.floor(j / perUser))))
    await Promise.all(logins)
  }
  return users * perUser
}
