import { setTimeout as delay } from 'node:timers/promises'
import type { User } from './user'

// As a client does that was told to try again later, only sooner.
const pause = 40

/** Users who refresh in chains, each with the token that it got last, until `stop`. */
export class Load {
  /** How often each status was answered, and other refusals than 503 with their codes. */
  readonly answers = new Map<number, number>()
  readonly refusals: (string | undefined)[] = []
  /** When the first and the last 503 were answered, by `performance.now()`. */
  unavailable: { first: number, last: number } | undefined
  #running = true
  readonly #done: Promise<unknown>

  constructor (users: User[]) {
    this.#done = Promise.all(users.map(user => this.#chain(user)))
  }

  get refreshes (): number {
    return this.answers.get(200) ?? 0
  }

  /** Ends the chains, each after an answer other than 503. */
  async stop (): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #chain (user: User): Promise<void> {
    for (
      let answer;
      (this.#running || answer?.status === 503) && (answer === undefined || answer.status !== 401);
    ) {
      answer = await user.refresh()
      this.answers.set(answer.status, (this.answers.get(answer.status) ?? 0) + 1)
      if (answer.status === 503) {
        this.unavailable = {
          first: performance.now(),
          ...this.unavailable,
          last: performance.now()
        }
        await delay(pause)
      } else if (answer.status !== 200) {
        this.refusals.push(answer.code)
      }
    }
  }
}
