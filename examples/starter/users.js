import { hash, verify } from '@node-rs/argon2'

// Argon2id with the library's parameters, which are OWASP's. Replace the rest by your database.
const key = (name) => `user:${name}`

/** Keeps users' password hashes in Redis. */
export async function createUsers (redis) {
  const nobody = await hash('nobody')
  return {
    /** Returns whether the name was free. */
    create: async (name, password) => {
      return await redis.set(key(name), await hash(password), 'NX') === 'OK'
    },
    /** Returns whether name and password go together; takes as long for a name that nobody has. */
    check: async (name, password) => {
      const stored = await redis.get(key(name))
      return await verify(stored ?? nobody, password) && stored !== null
    },
    change: async (name, password) => { await redis.set(key(name), await hash(password), 'XX') },
    remove: async (name) => { await redis.del(key(name)) }
  }
}
