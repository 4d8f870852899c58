import type { RedisClient } from './client'
import { forbid, isForbidden } from './permissions'

/** What a server says about itself. */
export interface ServerInfo {
  /** Whether one script may touch keys of several users: the server is no part of a cluster. */
  standalone: boolean
  /** Why this server cannot be used. */
  unfit: string | undefined
  /** What an operator should know. */
  warnings: string[]
}

const leastMajor = 7

/** Asks a server what it is. One that may not be asked, or is not there, is trusted. */
export async function readServerInfo (client: Pick<RedisClient, 'info'>): Promise<ServerInfo> {
  const warnings: string[] = []
  const sections = ['server', 'memory'].map(async (section) => await client.info(section))
  const [server = '', memory = ''] = await Promise.all(sections).catch((error: Error) => {
    const consequence = 'its version and maxmemory-policy are not checked, and refreshes cost more'
    if (isForbidden(error)) warnings.push(forbid('run INFO', consequence))
    return []
  })
  const unfit = refuseVersion(server)
  const eviction = warnOfEviction(memory)
  if (unfit !== undefined) warnings.push(unfit)
  if (eviction !== undefined) warnings.push(eviction)
  return { standalone: /^(?:redis|server)_mode:standalone/m.test(server), unfit, warnings }
}

/** Loads scripts into a server; resolves with what an operator should know. */
export async function loadScripts (
  client: Pick<RedisClient, 'script'>, scripts: Array<{ lua: string }>
): Promise<string[]> {
  // On a Cluster this reaches some of the nodes; the others learn a script when it is first used.
  return await Promise.all(scripts.map(async ({ lua }) => await client.script('LOAD', lua)))
    .then(() => [], (error: Error) => {
      if (!isForbidden(error)) throw error
      return [forbid('run SCRIPT', 'scripts are sent whole when first used')]
    })
}

function refuseVersion (server: string): string | undefined {
  const version = /^redis_version:(\S+)/m.exec(server)?.[1]
  if (version === undefined || parseInt(version) >= leastMajor) return undefined
  return `this server is Redis ${version}: sessions need Redis ${leastMajor} or later, or Valkey`
}

function warnOfEviction (memory: string): string | undefined {
  const limit = /^maxmemory:(\d+)/m.exec(memory)?.[1] ?? '0'
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(memory)?.[1] ?? 'noeviction'
  if (limit === '0' || policy === 'noeviction') return undefined
  return `Redis evicts by ${policy} when its ${limit} bytes are full: sessions may be evicted, ` +
    'and their users logged out; a server with maxmemory-policy noeviction keeps them'
}
