import { Cluster, Redis, type ClusterOptions } from 'ioredis'
import { freePort } from './free-port'
import { RedisServer } from './redis'
import { until } from './until'

/** How a test's cluster is started. */
export interface ClusterSetup {
  /** Whether each master has a replica. */
  replicas?: boolean
  /** Further arguments of each node. */
  args?: string[]
}

/** A Redis Cluster of three masters, each with one replica where asked for. */
export class RedisCluster {
  readonly nodes: RedisServer[] = []
  readonly #admins = new Map<RedisServer, Redis>()
  readonly #clients = new Set<{ disconnect (): void }>()

  /** Starts the nodes, joins them and waits until each of them says that the cluster is whole. */
  async start (options: ClusterSetup = {}): Promise<this> {
    for (let i = 0; i < (options.replicas ? 6 : 3); i++) {
      const args = [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(await freePort()),
        '--cluster-node-timeout',
        '1500',
        '--repl-diskless-sync-delay',
        '0',
        '--repl-ping-replica-period',
        '1',
        ...options.args ?? []
      ]
      const node = new RedisServer({ port: await freePort(), args })
      this.nodes.push(node)
      await node.start()
      // Whatever they ask of a node that is down waits until it is up.
      this.#admins.set(node, node.client({ maxRetriesPerRequest: null }))
    }
    const [first, ...others] = this.nodes
    for (const [i, node] of this.nodes.entries()) {
      await this.admin(node).cluster('SET-CONFIG-EPOCH', i + 1)
      if (i < 3) {
        await this.admin(node).call(
          'CLUSTER',
          'ADDSLOTSRANGE',
          Math.floor((16384 * i) / 3),
          Math.floor((16384 * (i + 1)) / 3) - 1
        )
      }
    }
    for (const node of others) {
      await this.admin(node).call(
        'CLUSTER',
        'MEET',
        '127.0.0.1',
        Number(first?.port),
        Number(first?.args[3])
      )
    }
    for (const [i, replica] of this.nodes.slice(3).entries()) {
      const id = await this.id(this.nodes[i])
      await until('a node to know its master', async () =>
        String(await this.admin(replica).cluster('NODES')).includes(id)
      )
      await this.admin(replica).call('CLUSTER', 'REPLICATE', id)
    }
    await this.ready()
    return this
  }

  /**
   * Waits until every living node finds the cluster whole, and every replica has caught up with its
   * master and is known to all.
   */
  async ready (deadline?: number): Promise<void> {
    for (const node of this.nodes.filter(node => node.alive)) {
      const admin = this.admin(node)
      await until('the cluster to be whole', async () => {
        const ranges = await admin.cluster('SLOTS') as unknown[][]
        const keepers = ranges
          .flatMap(([, , ...keepers]) => keepers)
          .map((keeper) => (keeper as unknown[])[1])
        return new Set(keepers).size === this.nodes.length &&
          /cluster_state:ok[^]*slots_ok:16384/.test(String(await admin.cluster('INFO'))) &&
          !/link_status:down/.test(await admin.info('replication'))
      }, deadline)
    }
  }

  /** A connection to this node alone. */
  admin (node: RedisServer | undefined): Redis {
    const admin = node && this.#admins.get(node)
    if (!admin) throw new Error('no such node')
    return admin
  }

  async id (node: RedisServer | undefined): Promise<string> {
    return String(await this.admin(node).cluster('MYID'))
  }

  /** The master of this key's slot, as the living nodes see it. */
  async masterOf (key: string): Promise<RedisServer> {
    return (await this.#keepers(key)).master
  }

  /** A key whose slot this master has. */
  async keyOn (master: RedisServer): Promise<string> {
    for (let i = 0; ; i++) if ((await this.masterOf(`key-${i}`)) === master) return `key-${i}`
  }

  /** The replica of this key's slot. */
  async replicaOf (key: string): Promise<RedisServer> {
    const { replica } = await this.#keepers(key)
    if (!replica) throw new Error(`nobody replicates ${key}`)
    return replica
  }

  /** Waits until every living node names this master for the slot of this key. */
  async agree (key: string, master: RedisServer): Promise<void> {
    for (const node of this.nodes.filter(node => node.alive)) {
      await until('the cluster to agree', async () =>
        (await this.#keepers(key, node)).master === master)
    }
  }

  async #keepers (
    key: string, asked = this.nodes.find(node => node.alive)
  ): Promise<{ master: RedisServer, replica?: RedisServer }> {
    const admin = this.admin(asked)
    const slot = await admin.cluster('KEYSLOT', key)
    const ranges = (await admin.cluster('SLOTS')) as unknown as [
      number,
      number,
      ...[string, number, string][]
    ][]
    const range = ranges.find(
      ([from, to]) => Number(from) <= Number(slot) && Number(slot) <= Number(to)
    )
    const [master, replica] = (range?.slice(2) ?? []).map((keeper) =>
      this.nodes.find((node) => node.port === (keeper as unknown[])[1])
    )
    if (!master) throw new Error(`nobody has slot ${slot}`)
    return { master, replica }
  }

  /** Makes a client of the cluster, which `stop` disconnects. */
  client (options: ClusterOptions = {}): Cluster {
    const client = new Cluster(
      this.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      { clusterRetryStrategy: () => 50, ...options }
    )
    client.on('error', () => {})
    return this.track(client)
  }

  /** Has `stop` disconnect this client too. */
  track<C extends { disconnect (): void }> (client: C): C {
    this.#clients.add(client)
    return client
  }

  async stop (): Promise<void> {
    for (const client of this.#clients) client.disconnect()
    await Promise.all(this.nodes.map(node => node.stop()))
  }
}

/** Starts a cluster that stops when the test `t` does. */
export async function clusterFor (
  t: { teardown(f: () => unknown): unknown },
  options?: ClusterSetup
): Promise<RedisCluster> {
  const cluster = new RedisCluster()
  t.teardown(() => cluster.stop())
  return await cluster.start(options)
}
