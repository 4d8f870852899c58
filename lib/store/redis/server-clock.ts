/** The clocks of a node: a monotonic one, and that of the wall, both in ms. */
export interface Clocks {
  monotonic: () => number
  wall: () => number
}

const ownClocks: Clocks = { monotonic: () => performance.now(), wall: () => Date.now() }

/**
 * What one node knows of the store's clock, learned from its replies. Two clocks of the node carry it on. The monotonic one
 * never steps, but stands still while the process is suspended; that of the wall goes on then, but can be set. So whatever
 * must not be late is judged by the monotonic clock, and whatever must not be let in too long by the later of the two. A
 * wall clock that is set forward ends access tokens too early, until the next reply of the store: to a refresh, at most.
 */
export class ServerClock {
  readonly #clocks: Clocks
  // How far the store's clock is ahead of each of the node's.
  #ahead: number | undefined
  #aheadOfWall = 0

  constructor (clocks: Clocks = ownClocks) {
    this.#clocks = clocks
  }

  /** Returns the time to judge by, in ms since the epoch: the later of what the two clocks say. */
  now (): number | undefined {
    const least = this.least()
    return least === undefined ? undefined : Math.max(least, Math.floor(this.#aheadOfWall + this.#clocks.wall()))
  }

  /** Returns the least that the store's clock can show now, if this process was not suspended; for deadlines. */
  least (): number | undefined {
    return this.#ahead === undefined ? undefined : Math.floor(this.#ahead + this.#clocks.monotonic())
  }

  /** Learns that the store's clock showed `time` at a moment between `sentAt` (monotonic ms) and now. */
  learn (time: number, sentAt: number): void {
    const now = this.#clocks.monotonic()
    const atLeast = time - now
    const atMost = time + 1 - sentAt
    // Of all estimates that this reply allows, the one that the fastest reply gave is the closest.
    if (this.#ahead === undefined || this.#ahead < atLeast || this.#ahead > atMost) this.#ahead = atLeast
    this.#aheadOfWall = this.#ahead + now - this.#clocks.wall()
  }
}
