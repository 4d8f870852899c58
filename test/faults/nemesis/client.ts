import { setTimeout as delay } from 'node:timers/promises'
import type { Device } from '../../support/proofs'
import type { Asked, Held, Site } from './site'

/** How often each thing is done, as parts of all. */
const habits = {
  refresh: 30,
  parallel: 6,
  again: 6,
  impatient: 6,
  guard: 22,
  live: 8,
  haunt: 14,
  logout: 2,
  logoutAll: 0.5,
  revoke: 1,
  revokeAll: 0.5,
  relogin: 2
}
type Habit = keyof typeof habits
const endings: readonly Habit[] = ['logout', 'logoutAll', 'revoke', 'revokeAll', 'relogin']

const all = Object.values(habits).reduce((sum, part) => sum + part)
/** How many sessions that are over a client remembers, to try whether they are. */
const mostGhosts = 3

/** A program of a user's on one device: it does everything, in any order, and at any node. */
export class Client {
  /** What it holds of the session that it lives in. */
  held: Held | undefined
  readonly user: string
  readonly #device: Device | undefined
  readonly #site: Site
  readonly #random: () => number
  readonly #calm: boolean
  #ghosts: Held[] = []
  /** When it first presented the token that it holds. */
  #since: number | undefined
  /** The token before that one, and when it was first presented. */
  #before: { token: Held['token'], since: number } | undefined
  #waiting: (() => void)[] = []
  #running = true

  /** @param calm whether its sessions live long: it ends them seldom */
  constructor (
    site: Site, user: string, device: Device | undefined, random: () => number, calm: boolean
  ) {
    this.#site = site
    this.#calm = calm
    this.user = user
    this.#device = device
    this.#random = random
  }

  /** Acts until it is stopped. */
  async run (): Promise<void> {
    while (this.#running) {
      await (this.held === undefined ? this.#login() : this[this.#choose()]())
      await delay(20 + this.#random() * 130)
    }
  }

  stop (): void { this.#running = false }

  /** Resolves once a refresh was let in, or the session is over. */
  async goesOn (): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #choose (): Habit {
    let rest = this.#random() * all
    for (const [habit, part] of Object.entries(habits)) {
      if ((rest -= part) >= 0) continue
      const isSpared = endings.includes(habit as Habit) && this.#calm && this.#random() < 0.95
      return isSpared ? 'refresh' : habit as Habit
    }
    return 'refresh'
  }

  async #ask (asked: Pick<Asked, 'verb'> & Partial<Asked>) {
    const node = this.#random() < 0.5 ? 0 : 1
    const { user, held } = this
    return await this.#site.ask(node, { user, held, device: this.#device, ...asked })
  }

  async #login (replace?: Held): Promise<void> {
    const [, held] = await this.#ask({ verb: 'login', held: replace })
    if (held === undefined) return
    if (replace !== undefined) this.#leave()
    this.held = held
    this.#since = this.#before = undefined
  }

  // What it holds is over, or is left to itself.
  #leave (): void {
    if (this.held !== undefined) this.#ghosts = [this.held, ...this.#ghosts].slice(0, mostGhosts)
    this.held = undefined
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async refresh (more: Partial<Asked> = {}, count = 1): Promise<void> {
    const { held } = this
    const since = this.#since ??= performance.now()
    const answers = await Promise.all(
      Array.from({ length: count }, async () => await this.#ask({ verb: 'refresh', ...more })))
    const next = answers.flatMap(([, next]) => next ?? [])
      .sort((a, b) => b.token.generation - a.token.generation)[0]
    const isOver = ([{ heard: { status, code } }]: typeof answers[number]) =>
      status === 401 && !code?.startsWith('DPOP_')
    if (next !== undefined && held !== undefined) {
      this.#before = { token: held.token, since }
      this.#since = undefined
      this.held = next
      for (const resolve of this.#waiting.splice(0)) resolve()
    } else if (answers.some(isOver)) {
      this.#leave()
    }
  }

  async parallel (): Promise<void> { await this.refresh({}, 2 + Math.floor(this.#random() * 4)) }

  /** Goes away before its answer, and then asks again. */
  async impatient (): Promise<void> { await this.refresh({ patience: 1 + this.#random() * 15 }) }

  /** Presents what it has presented before, as a tab does that was late. */
  async again (): Promise<void> {
    const { gracePeriod } = this.#site.setting
    const { token, since } = this.#before ?? {}
    if (token === undefined || performance.now() > Number(since) + gracePeriod / 3) return
    await this.#ask({ verb: 'refresh', token })
  }

  async guard (): Promise<void> { await this.#ask({ verb: 'guard' }) }
  async live (): Promise<void> { await this.#ask({ verb: 'live' }) }

  /** Tries what it holds of sessions that are over. */
  async haunt (): Promise<void> {
    const held = this.#ghosts[Math.floor(this.#random() * this.#ghosts.length)]
    if (held === undefined) return
    const draw = this.#random()
    await this.#ask({ verb: draw < 0.3 ? 'refresh' : draw < 0.4 ? 'live' : 'guard', held })
  }

  async logout (): Promise<void> { await this.#end({ verb: 'logout' }) }
  async logoutAll (): Promise<void> { await this.#end({ verb: 'logoutAll' }) }
  async revoke (): Promise<void> { await this.#end({ verb: 'revoke' }) }
  async revokeAll (): Promise<void> { await this.#end({ verb: 'revokeAll' }) }
  async relogin (): Promise<void> { await this.#login(this.held) }

  async #end (asked: Pick<Asked, 'verb'>): Promise<void> {
    const [{ heard: { status } }] = await this.#ask(asked)
    // After anything else it goes on, and finds out.
    if (status !== 'lost' && status < 300) this.#leave()
  }
}
