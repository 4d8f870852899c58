import type { Timeline } from './timeline'
import type { Answer } from './user'

/** What the network does to each message, request and response alike. */
export interface Network {
  /** The share that is lost. */
  loss: number
  /** The share that arrives twice. */
  duplicated: number
  /** The mean delay in ms; delays are exponential, so messages overtake each other. */
  delay: number
  /**
   * The share of refreshes during which the device goes offline, and for how many ms on average.
   */
  offline: number
  outage: number
  /**
   * The share of refreshes after which the browser is killed before its new cookie is on the disk.
   */
  killed: number
}

/** Presents a refresh token to the application. */
export type Present = (token: string) => Promise<Answer>

/** How a thief goes about it. */
export type Thief = 'goes on' | 'waits a day' | 'once' | 'repeats only' | 'the same token for ever'

/** The access token's lifetime, which is how often a program refreshes. */
export const interval = 30 * 60_000
const day = 24 * 60 * 60_000
const retryEvery = 1_000

/**
 * A program that refreshes at a random moment between 60 and 90 % of its access token's life, and
 * repeats every second what got no answer; a thief is one, too.
 */
export class Program {
  over: { at: number, code: string | undefined } | undefined
  stopped = false
  refreshes = 0
  #presenting = ''
  #offline: [from: number, to: number] = [0, 0]

  constructor (
    public token: string, readonly time: Timeline, readonly random: () => number,
    readonly network: Network, readonly present: Present
  ) {}

  /** Refreshes for the first time within the next `within` ms, and goes on. */
  start (within: number): void {
    this.time.after(this.random() * within, () => this.#refresh())
  }

  #refresh (): void {
    if (this.over || this.stopped) return
    if (this.random() < this.network.offline) {
      const from = this.time.now + this.random() * 4 * this.network.delay
      this.#offline = [from, from + this.#exponential(this.network.outage)]
    }
    this.#presenting = this.token
    this.#attempt(this.token)
  }

  #attempt (token: string): void {
    if (this.over || this.#presenting !== token) return
    this.#transmit('leaves', async () => {
      const answer = await this.present(token)
      this.#transmit('reaches', () => this.#hear(token, answer))
    })
    this.time.after(retryEvery, () => this.#attempt(token))
  }

  #hear (token: string, answer: Answer): void {
    // The answer to a repeat of something that has been answered already.
    if (this.over || this.#presenting !== token) return
    this.#presenting = ''
    if (answer.status !== 200 || !answer.token) {
      this.over = { at: this.time.now, code: answer.code }
      return
    }
    this.refreshes++
    // Killed before the cookie is on the disk, a browser comes back with the one before it.
    const killed = this.random() < this.network.killed
    if (!killed) this.token = answer.token
    const rest = killed ? this.#exponential(interval) : interval * (0.6 + 0.3 * this.random())
    this.time.after(rest, () => this.#refresh())
  }

  #transmit (what: 'leaves' | 'reaches', deliver: () => Promise<void> | void): void {
    const copies = this.random() < this.network.duplicated ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const lost = this.random() < this.network.loss
      const delay = this.#exponential(this.network.delay)
      // It must be online when it sends a request and when an answer arrives.
      const at = this.time.now + (what === 'leaves' ? 0 : delay)
      const online = at < this.#offline[0] || at >= this.#offline[1]
      if (online && !lost) this.time.after(delay, deliver)
    }
  }

  #exponential (mean: number): number {
    return -Math.log(1 - this.random()) * mean
  }
}

/** Lets a thief use a copy of the token that a program has now. */
export function steal (victim: Program, kind: Thief): void {
  const { token, time, random, network, present } = victim
  const thief = new Program(token, time, random, network, present)
  if (kind === 'goes on') thief.start(interval / 2)
  if (kind === 'waits a day') time.after(day, () => thief.start(interval / 2))
  if (kind === 'once') time.after(random() * interval, async () => { await present(token) })
  if (kind === 'the same token for ever') {
    const again = async (): Promise<void> => {
      await present(token)
      if (!victim.over) time.after(interval * (0.5 + random()), again)
    }
    time.after(random() * interval, again)
  }
  // He wants to come just after his victim, and can only guess when that is: where 60 to 90 % of a
  // token's life have passed, with his own clock set by his last success.
  if (kind === 'repeats only') {
    const guess = async (given: string): Promise<void> => {
      const answer = await present(given)
      if (answer.status === 200 && answer.token) {
        time.after(
          interval * (0.6 + 0.3 * random()),
          async () => await guess(answer.token as string)
        )
      }
    }
    time.after(interval * (0.6 + 0.3 * random()), async () => await guess(token))
  }
}
