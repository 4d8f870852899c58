interface Event { at: number, order: number, run: () => Promise<void> | void }

/** Virtual time: what is due runs one after the other, and the hours between cost nothing. */
export class Timeline {
  now: number
  #order = 0
  readonly #heap: Event[] = []

  constructor (start: number) {
    this.now = start
  }

  /** Has `run` done `delay` ms from now. */
  after (delay: number, run: () => Promise<void> | void): void {
    const heap = this.#heap
    const event = { at: this.now + delay, order: this.#order++, run }
    let i = heap.push(event) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#before(i, parent)) break
      this.#swap(i, parent)
      i = parent
    }
  }

  /** Runs everything that is due up to `end`. */
  async run (end: number): Promise<void> {
    for (;;) {
      const next = this.#heap[0]
      if (!next || next.at > end) break
      this.#shift()
      this.now = next.at
      await next.run()
    }
    this.now = end
  }

  #shift (): void {
    const last = this.#heap.pop()
    if (!last || this.#heap.length === 0) return
    this.#heap[0] = last
    for (let i = 0; ;) {
      let first = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.#heap.length && this.#before(child, first)) first = child
      }
      if (first === i) return
      this.#swap(i, first)
      i = first
    }
  }

  #before (i: number, j: number): boolean {
    const [a, b] = [this.#heap[i], this.#heap[j]]
    return !!a && !!b && (a.at - b.at || a.order - b.order) < 0
  }

  #swap (i: number, j: number): void {
    const [a, b] = [this.#heap[i], this.#heap[j]]
    if (a && b) [this.#heap[i], this.#heap[j]] = [b, a]
  }
}
