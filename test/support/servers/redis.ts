import { join } from 'node:path'
import { rmSync } from 'node:fs'
import { Redis, type RedisOptions } from 'ioredis'
import { launch, temporaryFolder, type Launched } from './launch'
import { until } from './until'

/** How a test's server is started. */
export interface ServerOptions {
  /** Further arguments, as on the command line. */
  args?: string[]
  /** The folder of its socket and dump; a temporary one by default. */
  folder?: string
  /** A TCP port of 127.0.0.1 beside the socket; none by default. */
  port?: number
}

/**
 * A Redis server of its own for a test, on a Unix socket in a temporary folder, without
 * persistence.
 */
export class RedisServer {
  readonly folder: string
  readonly path: string
  readonly port: number
  readonly args: readonly string[]
  readonly #clients = new Set<{ disconnect (): void }>()
  #process: Launched | undefined

  constructor (options: ServerOptions = {}) {
    this.folder = options.folder ?? temporaryFolder()
    this.path = join(this.folder, 's.sock')
    this.port = options.port ?? 0
    this.args = options.args ?? []
  }

  get pid (): number {
    return this.#process?.pid ?? 0
  }

  get alive (): boolean {
    return this.#process?.alive ?? false
  }

  get log (): string {
    return this.#process?.log() ?? ''
  }

  /** Starts the process, with these arguments besides, and waits until it answers. */
  async start (more: readonly string[] = []): Promise<this> {
    // Redis does not remove the socket of one that was killed, and a client would be refused there.
    rmSync(this.path, { force: true })
    this.#process = launch(this.folder, [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--unixsocket',
      this.path,
      '--dir',
      this.folder,
      '--save',
      '',
      '--appendonly',
      'no',
      '--daemonize',
      'no',
      ...this.args,
      ...more
    ])
    // Every ping settles, so that the end of the process and the deadline are noticed.
    const probe = new Redis({
      path: this.path,
      lazyConnect: true,
      retryStrategy: () => 5,
      maxRetriesPerRequest: 0,
      commandTimeout: 1000
    })
    probe.on('error', () => {})
    try {
      // A server with a password or one that is still loading answers too: with an error.
      await until(
        () => `redis-server to answer: ${this.log}`,
        async () =>
          await probe
            .ping()
            .catch((error: Error) => !this.alive || /^NOAUTH|^WRONGPASS/.test(error.message))
      )
      if (!this.alive) throw new Error(`redis-server ended at once: ${this.log}`)
    } finally {
      probe.disconnect()
    }
    return this
  }

  /** Makes a client of this server, which `stop` disconnects. */
  client (options: RedisOptions = {}): Redis {
    const client = new Redis({ path: this.path, retryStrategy: () => 20, ...options })
    client.on('error', () => {})
    return this.track(client)
  }

  /** Has `stop` disconnect this client too. */
  track<C extends { disconnect (): void }> (client: C): C {
    this.#clients.add(client)
    return client
  }

  /** Ends the process in order; its clients stay and reconnect once it is started again. */
  async end (): Promise<void> {
    await this.#process?.signal('SIGTERM')
  }

  /** Kills the process on the spot. */
  async kill (): Promise<void> {
    await this.#process?.signal('SIGKILL')
  }

  /**
   * Ends the process and starts another on the same socket; what it held is lost, unless `args`
   * have it saved.
   */
  async restart (): Promise<void> {
    await this.end()
    await this.start()
  }

  /** Freezes the process: its connections stay open, nobody answers. */
  async pause (): Promise<void> {
    await this.#process?.signal('SIGSTOP')
  }

  async resume (): Promise<void> {
    await this.#process?.signal('SIGCONT')
  }

  /** Disconnects all clients, kills the process and removes its folder. */
  async stop (): Promise<void> {
    for (const client of this.#clients) client.disconnect()
    this.#clients.clear()
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Starts a server that the caller stops. */
export async function startRedis (options?: ServerOptions): Promise<RedisServer> {
  return await new RedisServer(options).start()
}

/** Starts a server that stops when the test `t` does. */
export async function redisFor (
  t: { teardown(f: () => unknown): unknown },
  options?: ServerOptions
): Promise<RedisServer> {
  const server = new RedisServer(options)
  t.teardown(() => server.stop())
  return await server.start()
}
