import type { RedisClient } from './client'

/** What a server says about itself. */
export interface ServerInfo {
  /** Whether one script may touch keys of several users: if a server says that it is no part of a cluster. */
  standalone: boolean
  /** Why this server cannot be used. */
  unfit: string | undefined
  /** What an operator should know. */
  warnings: string[]
}

const leastMajor = 7
const forbidden = (command: string, consequence: string): string => `the Redis user may not run ${command}: ${consequence}`

/** Returns a warning if an error says that a command is forbidden to this user; rejects with any other error. */
export function warnOfNoPermission (error: Error, command: string, consequence: string): string {
  if (!error.message.startsWith('NOPERM')) throw error
  return forbidden(command, consequence)
}

/** Asks a server what it is; one that may not be asked is trusted. */
export async function readServerInfo (client: Pick<RedisClient, 'info'>): Promise<ServerInfo> {
  const info: ServerInfo = { standalone: false, unfit: undefined, warnings: [] }
  const [server, memory] = await Promise.all(['server', 'memory'].map((section) => client.info(section)))
    .catch((error: Error) => {
      if (error.message.startsWith('NOPERM')) {
        info.warnings.push(forbidden('INFO', 'its version and its maxmemory-policy are not checked, and refreshes are slower'))
      }
      return ['', '']
    }) as [string, string]
  info.standalone = /^(?:redis|server)_mode:standalone/m.test(server)
  const version = /^redis_version:(\S+)/m.exec(server)?.[1]
  if (version !== undefined && parseInt(version) < leastMajor) {
    info.unfit = `this server is Redis ${version}; sessions need Redis ${leastMajor} or later, or Valkey`
    info.warnings.push(info.unfit)
  }
  const limit = /^maxmemory:(\d+)/m.exec(memory)?.[1] ?? '0'
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(memory)?.[1] ?? 'noeviction'
  if (limit !== '0' && policy !== 'noeviction') {
    info.warnings.push(`Redis evicts keys (maxmemory-policy ${policy}) when its ${limit} bytes are full: sessions may be ` +
      'evicted, and their users logged out; use a server with noeviction')
  }
  return info
}
