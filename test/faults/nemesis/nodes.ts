import { buildSync } from 'esbuild'
import { fork, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Proxy } from '../../support/servers/proxy'

interface Address { host: string, port: number }
type NatMap = Record<string, Address>

/** How a node reaches Redis: each server by a proxy that stands between the two. */
export type Reach =
  | { cluster: Address[], natMap: NatMap }
  | { sentinels: Address[], name: string, natMap: NatMap }

/** What a node is given at its start. */
export interface Given {
  reach: Reach
  /** In ms. */
  gracePeriod: number
  durable: Record<'issue' | 'use', boolean>
}

/** What a node tells. */
export type Told =
  | { origins: Record<'issue' | 'use', string> }
  | { error: string }
  | { clock: number }
  | { spentOn: 'issue' | 'use', hears: boolean }

/**
 * Compiles the program of a node, into a folder from which it finds its packages; resolves with its
 * path. So a node starts in a fraction of the time.
 */
export function compile (): string {
  const outfile = join(__dirname, `../../../node_modules/.cache/nemesis/${randomUUID()}.js`)
  buildSync({
    entryPoints: [join(__dirname, 'node.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    packages: 'external'
  })
  return outfile
}

/** One node of the applications, and the proxies between it and each server of Redis. */
export class AppNode {
  /** Where it listens; nowhere while it is down. */
  origins: Record<'issue' | 'use', string> | undefined
  readonly proxies: readonly Proxy[]
  /** When each application began to hear which sessions end, or noticed that it did not. */
  readonly hearing: Record<'issue' | 'use', { at: number, hears: boolean }[]> =
    { issue: [], use: [] }

  readonly #program: string
  readonly #given: Given
  #process: ChildProcess | undefined

  constructor (program: string, proxies: readonly Proxy[], given: Given) {
    this.#program = program
    this.proxies = proxies
    this.#given = given
  }

  /** Starts the process, and waits until it listens. */
  async start (): Promise<void> {
    const node = fork(this.#program, [JSON.stringify(this.#given)], { execArgv: [] })
    this.#process = node
    node.on('message', (told: Told) => {
      if ('hears' in told) this.#note(told.spentOn, told.hears)
    })
    this.origins = await new Promise((resolve, reject) => {
      node.on('message', (told: Told) => {
        if ('origins' in told) resolve(told.origins)
        if ('error' in told) reject(new Error(told.error))
      })
      node.once('exit', () => { reject(new Error('a node has ended')) })
    })
  }

  #note (spentOn: 'issue' | 'use', hears: boolean): void {
    this.hearing[spentOn].push({ at: performance.now(), hears })
  }

  async kill (): Promise<void> {
    const gone = this.#process && once(this.#process, 'exit')
    this.#process?.kill('SIGKILL')
    await gone
    this.#process = this.origins = undefined
    for (const spentOn of ['issue', 'use'] as const) this.#note(spentOn, false)
  }

  /** Freezes the process: its connections stay open, nobody answers. */
  pause (): void { this.#process?.kill('SIGSTOP') }

  resume (): void { this.#process?.kill('SIGCONT') }

  /** Sets its clock off by so many ms; one that is started anew is right again. */
  async setClock (ms: number): Promise<void> {
    const node = this.#process
    if (node === undefined || this.origins === undefined) return
    const done = new Promise<void>((resolve) => {
      node.on('message', (told: Told) => { if ('clock' in told && told.clock === ms) resolve() })
      node.once('exit', () => { resolve() })
    })
    node.send(ms)
    await done
  }

  async stop (): Promise<void> {
    await this.kill()
    await Promise.all(this.proxies.map(async (proxy) => await proxy.close()))
  }
}
