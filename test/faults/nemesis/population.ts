import { setTimeout as delay } from 'node:timers/promises'
import { createDevice } from '../../support/proofs'
import { random as randomFrom } from '../random'
import { Client } from './client'
import type { Site } from './site'
import { Thief } from './thief'

/** How many users each site has; each has two devices, one of which holds a key. */
const users = 8
/** How many of them, the last ones, end their sessions seldom. */
const calm = 5
/** How many of these are robbed also of what is not bound to a key, and by how many thieves. */
const robbed = 2
const thieves = 3

/** All who use the sites, and the thieves. */
export class Population {
  readonly #clients: Client[] = []
  readonly #thieves: Thief[] = []
  readonly #lives: Promise<unknown>

  constructor (sites: readonly Site[], random: () => number) {
    const stream = () => randomFrom(Math.floor(random() * 2 ** 32))
    for (const site of sites) {
      const clients = (bound: boolean) => Array.from({ length: users }, (_, i) => new Client(
        site, `user-${i}`, bound ? createDevice() : undefined, stream(), i >= users - calm))
      const [unbound, bound] = [clients(false), clients(true)]
      this.#clients.push(...unbound, ...bound)
      this.#thieves.push(new Thief(site, bound, stream()))
      for (let i = 0; i < thieves; i++) {
        this.#thieves.push(new Thief(site, unbound.slice(-robbed), stream()))
      }
    }
    this.#lives = Promise.all([...this.#clients, ...this.#thieves]
      .map(async (each) => { await each.run() }))
  }

  /** Resolves once every client was let in again or has seen its session end, or `ms` are over. */
  async goesOn (ms: number): Promise<void> {
    await Promise.race([
      Promise.all(this.#clients.map(async (client) => { await client.goesOn() })),
      delay(ms, undefined, { ref: false })
    ])
  }

  /** Ends with the answers to what is on its way. */
  async stop (): Promise<void> {
    for (const each of [...this.#clients, ...this.#thieves]) each.stop()
    await this.#lives
  }
}
