import type { RedisClient } from './client'
import { permissions } from './scripts/permissions.lua'

/** Every such client has this as well, though its types do not say so. */
type Waits = { wait: (replicas: number, timeout: number) => Promise<unknown> }

/**
 * Returns whether a user lacks a permission, for a command of its own or one of a script; a command
 * that was renamed away is one that nobody may run.
 */
export const isForbidden = ({ message }: Error): boolean =>
  /^(?:NOPERM|ERR unknown command)/.test(message) || isForbiddenInScript(message)

// As Redis 7.0 says it, and all later ones.
const isForbiddenInScript = (message: string): boolean =>
  /user executing the script|ACL failure in script|nknown .*command called from/.test(message)

/** Returns the sentence that names what is missing. */
export const forbid = (action: string, consequence: string): string =>
  `the Redis user may not ${action}: ${consequence}`

const lost = 'sessions cannot be kept'

// Resolves with the commands of scripts that this user may not run.
const findForbidden = async (client: Pick<RedisClient, 'eval'>, key: string): Promise<string[]> =>
  await client.eval(permissions, 1, key) as string[]

const forbidCommands = (commands: string[]): string[] =>
  commands.length === 0 ? [] : [forbid(`run ${commands.join(', ')}`, lost)]

/** Finds out what this user may not do with keys that begin as this one does. */
export async function checkPermissions (
  client: Pick<RedisClient, 'eval'>, key: string
): Promise<string[]> {
  return await findForbidden(client, key).then(forbidCommands, (error: Error) => {
    if (!isForbidden(error)) throw error
    if (/^(?!ERR unknown).* keys?\b/.test(error.message)) {
      return [forbid(`use the key ${key}`, lost)]
    }
    return [forbid('run EVAL', 'scripts that the server does not know, as after a restart, fail')]
  })
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
 * run. One question serves all who ask at once; if it fails, the error says what it says.
 */
export function createExplain (client: Pick<RedisClient, 'eval'>, key: string) {
  let asked: Promise<string[]> | undefined

  return async function explain (error: Error): Promise<Error> {
    if (!isForbiddenInScript(error.message)) return error
    asked ??= findForbidden(client, key).then(forbidCommands, () => [])
      .finally(() => { asked = undefined })
    const [forbidden] = await asked
    return forbidden === undefined ? error : new Error(forbidden)
  }
}
