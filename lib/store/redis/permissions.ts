import type { RedisClient } from './client'
import { permissions } from './scripts/permissions.lua'

/** Every such client has this as well, though its types do not say so. */
type Waits = { wait: (replicas: number, timeout: number) => Promise<unknown> }

/** Returns whether a user lacks a permission, for a command of its own or one of a script. */
export const isForbidden = ({ message }: Error): boolean =>
  message.startsWith('NOPERM') || isForbiddenInScript(message)

// As Redis 7.0 says it, and all later ones.
const isForbiddenInScript = (message: string): boolean =>
  /user executing the script|ACL failure in script/.test(message)

/** Returns the sentence that names what is missing. */
export const forbid = (action: string, consequence: string): string =>
  `the Redis user may not ${action}: ${consequence}`

/** Finds out what this user may not do with keys that begin as this one does. */
export async function checkPermissions (
  client: Pick<RedisClient, 'eval'>, key: string
): Promise<string[]> {
  const forbidden = await client.eval(permissions, 1, key).catch((error: Error) => {
    if (!isForbidden(error)) throw error
    return / keys?\b/.test(error.message) ? `use the key ${key}` : ['EVAL']
  }) as string[] | string
  if (forbidden.length === 0) return []
  const action = typeof forbidden === 'string' ? forbidden : `run ${forbidden.join(', ')}`
  return [forbid(action, 'sessions cannot be kept')]
}

/** Finds out whether this user may wait for replicas; with none to wait for, it takes no time. */
export async function checkWait (client: RedisClient): Promise<string[]> {
  return await (client as RedisClient & Waits).wait(0, 1).then(() => [], (error: Error) => {
    if (isForbidden(error)) return [forbid('run WAIT', 'no ending is confirmed by a replica')]
    throw error
  })
}

/**
 * Creates what says why a script failed: some servers do not name the command that a user may not
 * run. One question serves all who ask at once.
 */
export function createExplain (client: Pick<RedisClient, 'eval'>, key: string) {
  let asked: Promise<string[]> | undefined

  return async function explain (error: Error): Promise<Error> {
    if (!isForbiddenInScript(error.message)) return error
    asked ??= checkPermissions(client, key).finally(() => { asked = undefined })
    const [forbidden] = await asked
    return forbidden === undefined ? error : new Error(forbidden)
  }
}
