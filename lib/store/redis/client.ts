import { patience } from '../timeout'

/** The part of a client that tells whether commands would leave now, or be queued. */
export interface Connection {
  readonly status: string
  connect: () => Promise<unknown>
  on: (event: 'ready', listener: () => void) => unknown
}

/** Lets commands wait, outside the client, until its connection is ready, so that they do not end up in the client's own queue. */
export class Readiness {
  readonly #client: Connection
  readonly #waiting = new Set<() => void>()

  constructor (client: Connection) {
    this.#client = client
    client.on('ready', () => { for (const proceed of this.#waiting) proceed() })
  }

  /** Whether a command would leave now. */
  get ready (): boolean {
    return this.#client.status === 'ready'
  }

  /** Resolves once the client is ready. @throws where it is not within that many ms */
  async wait (within: number): Promise<void> {
    if (this.ready) return
    // A client with lazyConnect sleeps until somebody asks.
    if (this.#client.status === 'wait') this.#client.connect().catch(() => {})
    await new Promise<void>((resolve, reject) => {
      const settle = (done: () => void) => () => {
        this.#waiting.delete(proceed)
        stop()
        done()
      }
      const proceed = settle(resolve)
      const stop = patience(within, settle(() => reject(new Error(`the connection is not ready: ${this.#client.status}`))))
      this.#waiting.add(proceed)
    })
  }
}
