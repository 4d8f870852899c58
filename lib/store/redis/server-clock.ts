const monotonic = () => performance.now()

/** What one node knows of the store's clock, learned from its answers; steps of the node's own clock do not matter to it. */
export class Clock {
  #ahead: number | undefined

  /** The least that the store's clock can show now, in ms since the epoch. */
  now (): number | undefined {
    return this.#ahead === undefined ? undefined : Math.floor(this.#ahead + monotonic())
  }

  /** Takes in that the store's clock showed `time` somewhere between `sentAt` (monotonic ms) and this moment. */
  learn (time: number, sentAt: number): void {
    const atLeast = time - monotonic()
    const atMost = time + 1 - sentAt
    // Of all estimates that this answer allows, the one that the fastest answer gave is the closest.
    if (this.#ahead === undefined || this.#ahead < atLeast || this.#ahead > atMost) this.#ahead = atLeast
  }
}
