import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis, type RedisOptions } from 'ioredis'
import { freePort } from './free-port'
import { launch, temporaryFolder, type Launched } from './launch'
import { RedisServer } from './redis'
import { until } from './until'

/** How a test's group is started. */
export interface SentinelSetup {
  /** Further arguments of master and replica. */
  args?: string[]
  /** In ms; another failover is tried after twice that. */
  failoverTimeout?: number
}

/** How long the sentinels may take to agree, in ms: on a busy machine a failover is tried twice. */
const patience = 60_000

/** The arguments that make a server a replica of another one. */
export const replicaOf = ({ port }: RedisServer): string[] =>
  ['--replicaof', '127.0.0.1', String(port)]

/** Asks a sentinel about the master; returns what reads its answer. */
async function ask (sentinel: Redis): Promise<(name: string) => string | undefined> {
  const answer = await sentinel.call('SENTINEL', 'MASTER', 'main') as string[]
  return (name) => answer[answer.indexOf(name) + 1]
}

/**
 * A master and its replica, watched by three sentinels that promote the replica once the master is
 * gone.
 */
export class SentinelGroup {
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly sentinels: { host: string, port: number }[] = []
  readonly #processes: Launched[] = []
  readonly #clients = new Set<Redis>()
  readonly #admins: Redis[] = []

  readonly #failoverTimeout: number

  private constructor (ports: [number, number], setup: SentinelSetup) {
    const args = ['--repl-diskless-sync-delay', '0', ...setup.args ?? []]
    this.master = new RedisServer({ port: ports[0], args })
    this.replica = new RedisServer({ port: ports[1], args })
    this.#failoverTimeout = setup.failoverTimeout ?? 3000
  }

  static async create (setup: SentinelSetup = {}): Promise<SentinelGroup> {
    return new SentinelGroup([await freePort(), await freePort()], setup)
  }

  /** Starts all five and waits until the sentinels know each other and the replica. */
  async start (): Promise<this> {
    await this.master.start()
    await this.replica.start(replicaOf(this.master))
    for (let i = 0; i < 3; i++) {
      const folder = temporaryFolder()
      const port = await freePort()
      const file = join(folder, 'sentinel.conf')
      writeFileSync(
        file,
        [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${folder}`,
          `sentinel monitor main 127.0.0.1 ${this.master.port} 2`,
          'sentinel down-after-milliseconds main 500',
          `sentinel failover-timeout main ${this.#failoverTimeout}`,
          ''
        ].join('\n')
      )
      this.#processes.push(launch(folder, [file, '--sentinel']))
      this.sentinels.push({ host: '127.0.0.1', port })
    }
    for (const address of this.sentinels) {
      const sentinel = new Redis({
        ...address,
        retryStrategy: () => 10,
        maxRetriesPerRequest: null
      })
      sentinel.on('error', () => {})
      this.#clients.add(sentinel)
      this.#admins.push(sentinel)
      await until('the sentinels to know each other', async () => {
        const says = await ask(sentinel)
        return (
          says('num-other-sentinels') === '2' &&
          says('num-slaves') === '1' &&
          says('flags') === 'master'
        )
      })
    }
    return this
  }

  /** The ports of the masters that the sentinels name, each of them one. */
  async masterPorts (): Promise<number[]> {
    return await Promise.all(this.#admins.map(async (sentinel) => {
      const [, port] =
        await sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main') as string[]
      return Number(port)
    }))
  }

  /**
   * Returns whether every sentinel finds the master well, and none is replacing it: one that has
   * come back in the meantime is replaced all the same.
   */
  async isCalm (): Promise<boolean> {
    const flags = await Promise.all(this.#admins.map(async (sentinel) =>
      (await ask(sentinel))('flags')))
    return flags.every((flag) => flag === 'master')
  }

  /**
   * Waits until every sentinel names this server as the master; until then some send their clients
   * to the old one.
   */
  async agree (server: RedisServer): Promise<void> {
    await until('the sentinels to agree', async () =>
      (await this.masterPorts()).every((port) => port === server.port), patience)
  }

  /** Has the first sentinel promote the replica, as soon as it will, though the master is well. */
  async failOver (): Promise<void> {
    await until('a failover to begin', async () =>
      await this.#admins[0]?.call('SENTINEL', 'FAILOVER', 'main') === 'OK')
  }

  /** Makes a client that asks the sentinels for the master, which `stop` disconnects. */
  client (options: RedisOptions = {}): Redis {
    const client = new Redis({
      sentinels: this.sentinels,
      name: 'main',
      retryStrategy: () => 20,
      sentinelRetryStrategy: () => 50,
      ...options
    })
    client.on('error', () => {})
    this.#clients.add(client)
    return client
  }

  async stop (): Promise<void> {
    for (const client of this.#clients) client.disconnect()
    await Promise.all(this.#processes.map(sentinel => sentinel.signal('SIGKILL')))
    await Promise.all([this.master.stop(), this.replica.stop()])
  }
}

/** Starts a group that stops when the test `t` does. */
export async function sentinelFor (t: {
  teardown(f: () => unknown): unknown
}, setup?: SentinelSetup): Promise<SentinelGroup> {
  const group = await SentinelGroup.create(setup)
  t.teardown(() => group.stop())
  return await group.start()
}
