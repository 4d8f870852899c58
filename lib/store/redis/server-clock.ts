/** The clocks of a node: a monotonic one, and that of the wall, both in ms. */
export interface Clocks {
  monotonic: () => number
  wall: () => number
}

const ownClocks: Clocks = { monotonic: () => performance.now(), wall: () => Date.now() }

/**
 * What one node knows of the store's clock, learned from its replies. Two clocks of the node carry
 * it on. The monotonic one never steps, but stands still while the process is suspended. That of
 * the wall goes on then, but can be set. So a deadline is told by the monotonic clock, and a token
 * is judged by the later of the two. If the wall clock is set forward, access tokens end too early,
 * but only until the store's next reply: to the refresh that follows.
 */
export class ServerClock {
  readonly #clocks: Clocks
  // How far the store's clock is ahead of each of the node's.
  #ahead: number | undefined
  #aheadOfWall = 0

  constructor (clocks: Clocks = ownClocks) {
    this.#clocks = clocks
  }

  /** Returns the time to judge by, in ms since the epoch: the later of what both clocks say. */
  now (): number | undefined {
    const least = this.least()
    if (least === undefined) return undefined
    return Math.max(least, Math.floor(this.#aheadOfWall + this.#clocks.wall()))
  }

  /**
   * Returns the least that the store's clock can show at a moment of the node's monotonic clock,
   * if this process is not suspended until then.
   * @default moment now
   */
  least (moment = this.#clocks.monotonic()): number | undefined {
    return this.#ahead === undefined ? undefined : Math.floor(this.#ahead + moment)
  }

  /** Learns that the store's clock showed `time` between `sentAt` (monotonic) and now. */
  learn (time: number, sentAt: number): void {
    const now = this.#clocks.monotonic()
    const atLeast = time - now
    const atMost = time + 1 - sentAt
    // Of all estimates that this reply allows, the one that the fastest reply gave is the closest.
    const known = this.#ahead
    const ahead = known === undefined || known < atLeast || known > atMost ? atLeast : known
    this.#ahead = ahead
    this.#aheadOfWall = ahead + now - this.#clocks.wall()
  }
}
