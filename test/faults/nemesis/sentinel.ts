import type { Redis } from 'ioredis'
import type { RedisServer } from '../../support/servers/redis'
import { replicaOf, SentinelGroup } from '../../support/servers/sentinel'
import { until } from '../../support/servers/until'
import { mastersOf, persistent, type Deployment } from './deployment'

/** Starts a master and its replica, watched by three sentinels. */
export async function startSentinel (): Promise<Deployment> {
  const group = await SentinelGroup.create({ args: persistent, failoverTimeout: 1000 })
  await group.start()
  const servers = [group.master, group.replica]
  // Whatever they ask of a server that is down waits until it is up.
  const patient = { maxRetriesPerRequest: null }
  const admins = new Map(servers.map((server) => [server, server.client(patient)]))
  const admin = (server: RedisServer) => admins.get(server) as Redis
  const other = (server: RedisServer) => servers.find((each) => each !== server) as RedisServer

  // Sentinel would do it after ten seconds.
  const demote = async (server: RedisServer) => {
    await admin(server).replicaof('127.0.0.1', other(server).port)
    await admin(server).call('CLIENT', 'KILL', 'TYPE', 'normal')
  }

  const deployment: Deployment = {
    servers,
    admin,
    keyOn: async () => 'key',
    restart: async (server) => {
      const isMaster = (await group.masterPorts()).includes(server.port)
      await server.start(isMaster ? [] : replicaOf(other(server)))
    },
    ready: async () => {
      await until('master and replica to have caught up', async () => {
        if (!await group.isCalm()) return false
        const [port, ...more] = new Set(await group.masterPorts())
        const master = servers.find((server) => server.port === port)
        if (master === undefined || more.length > 0) return false
        const masters = await mastersOf(deployment)
        if (masters.includes(other(master))) await demote(other(master))
        return /state=online/.test(await admin(master).info('replication')) &&
          /link_status:up/.test(await admin(other(master)).info('replication'))
      }, 30_000)
    },
    failOver: async (master) => {
      const next = other(master).port
      await until('the replica to take over', async () => {
        const [first, ...others] = await group.masterPorts()
        // A failover may be given up, as when the replica has fallen behind: it is asked for again.
        if (first !== next && await group.isCalm()) await group.failOver()
        return [first, ...others].every((port) => port === next)
      }, 60_000)
      return true
    },
    reach: (natMap) => ({ sentinels: group.sentinels, name: 'main', natMap }),
    stop: async () => { await group.stop() }
  }
  return deployment
}
