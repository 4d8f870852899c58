import type { Timeline } from '../faults/timeline'
import { minute, second } from './app'
import { access, Jar, refresh, type App } from './cookie-mode'

/** How bad the network is. Times in ms of the timeline. */
export interface Weather {
  /** Which share of the answers never arrives. */
  lost: number
  /** Which share of the answers and of the requests is late. */
  late: number
  /**
   * How late at most. It must stay below an access token's lifetime: an answer that arrives after
   * the token of a newer one was used is a second holder, by contract.
   */
  latest: number
}

/** What became of the requests of all browsers. */
export interface Tally {
  requests: number
  renewed: number
  refused: string[]
}

/**
 * A browser without scripts: one jar for all tabs. It sends what the jar holds, and takes the
 * cookies of each answer when it arrives, in whatever order; it repeats nothing.
 */
export class Browser {
  readonly #jar = new Jar()
  /** When the access cookie runs out. */
  #until = 0

  constructor (
    readonly app: App, readonly time: Timeline, readonly random: () => number,
    readonly weather: Weather, readonly tally: Tally
  ) {}

  async login (sub: string): Promise<void> {
    this.#take(await this.app.send(this.#jar, '/login', { method: 'POST', payload: [{ sub }] }))
  }

  /** Opens pages again and again, each of one to five requests at once. */
  visit (visits: number): void {
    const count = 1 + Math.floor(5 * this.random())
    for (let i = 0; i < count; i++) this.#request()
    if (visits > 1) this.time.after(this.#pause(), () => this.visit(visits - 1))
  }

  // Most come back in half an hour or so, some at once, some tomorrow.
  #pause (): number {
    const kind = this.random()
    if (kind < 0.3) return this.random() * 20 * second
    return kind < 0.85 ? (20 + 40 * this.random()) * minute : (6 + 30 * this.random()) * 60 * minute
  }

  #request (): void {
    if (this.time.now >= this.#until) this.#jar.cookies.delete(access)
    const sent = this.#jar.copy()
    this.time.after(this.#lateness(), async () => {
      const response = await this.app.send(sent, '/me')
      this.tally.requests++
      if (response.statusCode !== 200) this.tally.refused.push(response.json().code)
      if (response.cookies.some(({ name }) => name === refresh)) this.tally.renewed++
      if (this.random() < this.weather.lost) return
      this.time.after(this.#lateness(), () => { this.#take(response) })
    })
  }

  #lateness (): number {
    const { late, latest } = this.weather
    return this.random() < late ? this.random() * latest : this.random() * second
  }

  #take (response: Awaited<ReturnType<App['send']>>): void {
    this.#jar.take(response)
    const maxAge = response.cookies.find(({ name }) => name === access)?.maxAge
    if (maxAge !== undefined) this.#until = this.time.now + maxAge * second
  }
}
