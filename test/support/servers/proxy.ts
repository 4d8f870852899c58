import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { temporaryFolder } from './launch'

/**
 * What becomes of the bytes of one direction: they pass, wait until `heal`, are swallowed, come
 * `delay` ms late, or the connection is cut after `cut` bytes more. A connection that has lost
 * bytes loses all that follow, as TCP never delivers around a gap.
 */
export type Fate = 'pass' | 'hold' | 'swallow' | { delay: number } | { cut: number }

interface Link { client: Socket, server: Socket, held: (() => void)[], lossy: boolean }

/**
 * Stands between clients and a server, on a Unix socket or TCP, and spoils the connection on
 * demand.
 */
export class Proxy {
  readonly path = join(temporaryFolder(), 'p.sock')
  /** The TCP port of 127.0.0.1 that it listens on instead of `path`; 0: none. */
  readonly port: number
  /** The server behind; another one is there for connections yet to come. */
  target: { path: string } | { port: number, host?: string }
  /** The fate of what clients send. */
  requests: Fate = 'pass'
  /** The fate of what the server answers. */
  replies: Fate = 'pass'
  /** Chunks that reached the proxy from clients, whatever became of them. */
  received = 0
  /** Chunks that the server answered, whatever became of them. */
  answered = 0
  readonly #links = new Set<Link>()
  #server: Server | undefined

  constructor (target: { path: string } | { port: number, host?: string }, port = 0) {
    this.target = target
    this.port = port
  }

  /** Accepts connections, after `close` again. */
  async open (): Promise<this> {
    this.#server = createServer((client) => this.#join(client))
    const address = this.port === 0 ? { path: this.path } : { port: this.port, host: '127.0.0.1' }
    await new Promise<void>((resolve) => this.#server?.listen(address, resolve))
    return this
  }

  /** Refuses connections and cuts those that stand. */
  async close (): Promise<void> {
    const server = this.#server
    const closed = new Promise<void>((resolve) =>
      server ? server.close(() => resolve()) : resolve()
    )
    this.cut()
    await closed
  }

  /** Cuts all connections. */
  cut (): void {
    for (const link of this.#links) this.#end(link)
  }

  /**
   * Lets everything pass from now on: what was held goes on its way, connections that have lost
   * something are cut.
   */
  heal (): void {
    this.requests = this.replies = 'pass'
    for (const link of this.#links) {
      if (link.lossy) this.#end(link)
      else for (const send of link.held.splice(0)) send()
    }
  }

  #join (client: Socket): void {
    const link: Link = { client, server: connect(this.target), held: [], lossy: false }
    this.#links.add(link)
    this.#carry(link, link.client, link.server, () => { this.received++; return this.requests })
    this.#carry(link, link.server, link.client, () => { this.answered++; return this.replies })
  }

  #end (link: Link): void {
    this.#links.delete(link)
    link.client.destroy()
    link.server.destroy()
  }

  #carry (link: Link, from: Socket, to: Socket, fate: () => Fate): void {
    const deliver = inOrder()
    from.on('error', () => {})
    from.on('close', () => this.#end(link))
    from.on('data', (data) => {
      const now = fate()
      const send = () => { to.write(data) }
      if (link.lossy || now === 'swallow') link.lossy = true
      else if (now === 'hold' || link.held.length > 0) link.held.push(() => { deliver(send) })
      else if (now === 'pass') deliver(send)
      else if ('delay' in now) deliver(send, now.delay)
      else deliver(() => { to.write(data.subarray(0, now.cut), () => this.#end(link)) })
    })
  }
}

/**
 * Returns what does each thing so many ms later, and none of them before those that came earlier: a
 * timer alone may fire a ms too soon.
 */
function inOrder (): (act: () => void, delay?: number) => void {
  const waiting: { due: number, act: () => void }[] = []
  const proceed = () => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const rest = first.due - performance.now()
      if (rest > 0) {
        setTimeout(proceed, rest)
        return
      }
      waiting.shift()
      first.act()
    }
  }
  return (act, delay = 0) => {
    waiting.push({ due: performance.now() + delay, act })
    if (waiting.length === 1) proceed()
  }
}

/** Starts a proxy in front of a server; it closes when the test `t` ends. */
export async function proxyFor (
  t: { teardown(f: () => unknown): unknown },
  target: { path: string } | { port: number, host?: string },
  port?: number
): Promise<Proxy> {
  const proxy = new Proxy(target, port)
  t.teardown(() => proxy.close())
  return await proxy.open()
}
