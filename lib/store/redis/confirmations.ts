import type { Ended } from '../store'
import { createTimeout } from '../timeout'
import { isForbidden } from './permissions'

/** What one request waits for, from one master. */
export interface Confirmation {
  ended: readonly Ended[]
  replicas: number
  /** A moment of the node's monotonic clock, in ms. */
  giveUpAt: number
}

interface Waiting extends Confirmation {
  settle: (replicas: number | Error) => void
}

/**
 * The confirmations that one master is asked for. One question is in flight, and all that is asked
 * for meanwhile goes together into the next: so nobody crowds anybody out, however many wait.
 */
export class Confirmations {
  readonly #ask: (together: Confirmation[]) => Promise<number[]>
  readonly #waiting = new Set<Waiting>()
  #busy = false

  /** @param ask resolves with how many replicas have each */
  constructor (ask: (together: Confirmation[]) => Promise<number[]>) {
    this.#ask = ask
  }

  /**
   * Resolves with how many replicas have it; with 0 if nobody knows when it is given up.
   * @throws if the user may not ask
   */
  async add (confirmation: Confirmation): Promise<number> {
    return await new Promise((resolve, reject) => {
      const settle = (replicas: number | Error): void => {
        stop()
        this.#waiting.delete(waiting)
        if (replicas instanceof Error) reject(replicas)
        else resolve(replicas)
      }
      const waiting = { ...confirmation, settle }
      const stop = createTimeout(confirmation.giveUpAt - performance.now(), () => { settle(0) })
      this.#waiting.add(waiting)
      if (this.#busy) return
      this.#busy = true
      // What is asked for in one turn of the event loop goes together.
      setImmediate(() => { this.#work() })
    })
  }

  async #work (): Promise<void> {
    while (this.#waiting.size > 0) {
      const together = [...this.#waiting]
      this.#waiting.clear()
      const replies = await this.#ask(together)
        .catch((error: Error) => isForbidden(error) ? error : [])
      for (const [i, { settle }] of together.entries()) {
        settle(replies instanceof Error ? replies : replies[i] ?? 0)
      }
    }
    this.#busy = false
  }
}
