import type { Redis } from 'ioredis'
import { freePort } from '../../support/servers/free-port'
import { Proxy } from '../../support/servers/proxy'
import type { RedisServer } from '../../support/servers/redis'
import { until } from '../../support/servers/until'
import type { Key } from './history'
import { AppNode, type Given, type Reach } from './nodes'

/** Every change is on disk before it is answered: a server that is killed comes back with it. */
export const persistent = ['--appendonly', 'yes', '--appendfsync', 'no']

/** A Redis of several servers, with a replica for each master. */
export interface Deployment {
  readonly servers: readonly RedisServer[]
  /** A connection to this server alone. */
  admin: (server: RedisServer) => Redis
  /** Returns a key that this master keeps. */
  keyOn: (master: RedisServer) => Promise<string>
  /** Starts a server that was killed, as what it is by now. */
  restart: (server: RedisServer) => Promise<void>
  /** Waits until every server is up, and every replica has caught up with its master. */
  ready: () => Promise<void>
  /** Has a replica promoted, of this server; resolves with whether writes may be lost by it. */
  failOver: (master: RedisServer, random: () => number) => Promise<boolean>
  /** Moves the slot of this key, where there are slots. */
  moveSlot?: (key: string, random: () => number) => Promise<void>
  /** What a node needs besides the map from servers to proxies. */
  reach: (natMap: Reach['natMap']) => Reach
  stop: () => Promise<void>
}

/** Creates a node with a proxy of its own for each server. */
export async function createNode (
  program: string, { servers, reach }: Deployment, given: Omit<Given, 'reach'>
): Promise<AppNode> {
  const natMap: Reach['natMap'] = {}
  const proxies: Proxy[] = []
  for (const { port } of servers) {
    const proxy = await new Proxy({ port, host: '127.0.0.1' }, await freePort()).open()
    proxies.push(proxy)
    natMap[`127.0.0.1:${port}`] = { host: '127.0.0.1', port: proxy.port }
  }
  return new AppNode(program, proxies, { reach: reach(natMap), ...given })
}

/** Returns the servers that are masters now. */
export async function mastersOf ({ servers, admin }: Deployment): Promise<RedisServer[]> {
  const roles = await Promise.all(servers.map(async (server) => {
    const [role] = await admin(server).call('ROLE') as string[]
    return role
  }))
  return servers.filter((_, i) => roles[i] === 'master')
}

/** Waits until the replica of a master has all that was written before. */
export async function replicate (admin: Redis, key: string): Promise<void> {
  await until('a replica to have all', async () => {
    await admin.set(key, '', 'PX', 60_000)
    return await admin.wait(1, 500) === 1
  })
}

// What is measured is Redis, so the script takes no part in what it finds.
const read = `
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local texts = kind == 'hash' and redis.call('HGETALL', key) or { redis.call('GET', key) }
  found[#found + 1] = { key, redis.call('PTTL', key), texts }
end
return found`

/** Returns all that the masters hold. */
export async function dump (deployment: Deployment): Promise<Key[]> {
  const masters = await mastersOf(deployment)
  const all = await Promise.all(masters.map(async (server) =>
    await deployment.admin(server).callBuffer('EVAL', read, 0) as [Buffer, number, Buffer[]][]))
  return all.flat().map(([name, ttl, texts]) => ({ name: name.toString(), ttl, texts }))
}
