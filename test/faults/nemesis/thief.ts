import { setTimeout as delay } from 'node:timers/promises'
import { createDevice } from '../../support/proofs'
import type { Client } from './client'
import type { Held, Site } from './site'

/** Robs these clients of what they hold, again and again, until it is stopped. */
export class Thief {
  readonly #site: Site
  readonly #victims: readonly Client[]
  readonly #random: () => number
  readonly #device = createDevice()
  readonly #end = new AbortController()

  constructor (site: Site, victims: readonly Client[], random: () => number) {
    this.#site = site
    this.#victims = victims
    this.#random = random
  }

  async run (): Promise<void> {
    while (!this.#end.signal.aborted) {
      await this.#wait(100 + this.#random() * 400)
      const { held } = this.#victims[Math.floor(this.#random() * this.#victims.length)] ?? {}
      if (held !== undefined) await this.#use(held)
    }
  }

  stop (): void { this.#end.abort() }

  async #wait (ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#end.signal }).catch(() => {})
  }

  // Within the grace period or past it, once or as long as it is let in.
  async #use (stolen: Held): Promise<void> {
    const { gracePeriod } = this.#site.setting
    const once = this.#random() < 0.3
    for (let held: Held | undefined = stolen; held !== undefined;) {
      await this.#wait(this.#random() * (stolen.device === undefined ? 1.5 * gracePeriod : 200))
      if (this.#end.signal.aborted) return
      // What is bound is tried without a proof, and by another key.
      const device = stolen.device && this.#random() < 0.5 ? this.#device : undefined
      const verb = this.#random() < 0.7 ? 'refresh' : 'guard'
      const node = this.#random() < 0.5 ? 0 : 1
      const { user } = held
      const [, next] = await this.#site.ask(node, { verb, user, held, device, by: 'thief' })
      held = once || verb === 'guard' ? undefined : next
    }
  }
}
