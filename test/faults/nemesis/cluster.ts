import { RedisCluster } from '../../support/servers/cluster'
import { moveSlot } from '../../support/servers/move-slot'
import { until } from '../../support/servers/until'
import { mastersOf, persistent, type Deployment } from './deployment'

/** Starts a Cluster of three masters, each with a replica. */
export async function startCluster (): Promise<Deployment> {
  const cluster = await new RedisCluster().start({ replicas: true, args: persistent })
  const { nodes: servers } = cluster

  const deployment: Deployment = {
    servers,
    admin: (server) => cluster.admin(server),
    keyOn: async (master) => await cluster.keyOn(master),
    restart: async (server) => { await server.start() },
    ready: async () => { await cluster.ready(30_000) },
    failOver: async (master, random) => {
      const id = await cluster.id(master)
      const lines = String(await cluster.admin(master).cluster('NODES')).split('\n')
      const replica = servers.find(({ port }) =>
        lines.some((line) => line.includes(`:${port}@`) && line.includes(id) && !line.startsWith(id)))
      if (replica === undefined) throw new Error('a master without a replica')
      // Asked nicely, the master waits until its replica has all.
      const forced = random() < 0.5
      await cluster.admin(replica).call('CLUSTER', 'FAILOVER', ...forced ? ['FORCE'] : [])
      await until('the replica to be promoted', async () =>
        (await cluster.admin(replica).call('ROLE') as string[])[0] === 'master')
      return forced
    },
    moveSlot: async (key, random) => {
      const from = await cluster.masterOf(key)
      const others = (await mastersOf(deployment)).filter((server) => server !== from)
      const to = others[Math.floor(random() * others.length)] ?? from
      await moveSlot(cluster, key, to)
      await cluster.agree(key, to)
    },
    reach: (natMap) => ({
      cluster: servers.map(({ port }) => natMap[`127.0.0.1:${port}`]).filter((to) => to !== undefined),
      natMap
    }),
    stop: async () => { await cluster.stop() }
  }
  return deployment
}
