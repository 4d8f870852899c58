import { MemoryStore } from '../../lib/store/memory'

/** A store that a test takes down, and puts up again. */
export class DownStore extends MemoryStore {
  isDown = false
  override async rotate (...given: Parameters<MemoryStore['rotate']>) {
    this.#ask()
    return await super.rotate(...given)
  }

  override async end (...given: Parameters<MemoryStore['end']>) {
    this.#ask()
    return await super.end(...given)
  }

  #ask (): void {
    if (this.isDown) throw new Error('connect ECONNREFUSED')
  }
}
