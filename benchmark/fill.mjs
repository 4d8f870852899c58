import { RedisStore } from '../dist/index.mjs'
import { tagOf, toText } from '../dist/session/session.js'
import { randomBytes } from 'node:crypto'
import { sub } from './wire.mjs'

const day = 24 * 3600 * 1000
const defaults = { perUser: 1, prefix: 'jwt:', idleLifetime: 14 * day }

/**
 * Opens sessions for users in a row, each with a `sub` of 12 characters and a device label of 20,
 * straight in the store.
 */
export async function fill (client, users, options = {}) {
  const { perUser, prefix, idleLifetime } = { ...defaults, ...options }
  const store = new RedisStore(client, { prefix })
  await store.open(1000)
  const creation = { signer: 'abc', idleLifetime, absoluteLifetime: 90 * day, maxSessions: 50 }
  for (let i = 0; i < users; i += 500) {
    const logins = Array.from({ length: Math.min(500, users - i) * perUser }, (_, j) => {
      const user = sub(i + Math.floor(j / perUser))
      const text = toText({
        sub: user,
        device: 'Firefox on Linux x64',
        transport: 'cookie',
        remember: true,
        extra: {}
      })
      return store.create(
        tagOf(user),
        { ...creation, sid: randomBytes(16).toString('base64url'), text },
        10_000
      )
    })
    await Promise.all(logins)
  }
  return users * perUser
}
