interface Locks {
  request (name: string, options: { ifAvailable?: boolean, signal?: AbortSignal }, work: (lock: unknown) => unknown): Promise<unknown>
}

/**
 * Makes a function that runs work while no other tab of the origin does the like: under the Web Lock `name`, where
 * there are such locks. `waited` tells the work that another tab has just finished. Nobody waits for an orphaned lock
 * longer than `limit` ms: without the lock, the server's grace period sees to it that two refreshes at once do no harm.
 */
export function singleFlight (name: string, limit: number) {
  return async function alone<T> (work: (waited: boolean) => Promise<T>): Promise<T> {
    const locks = name ? (globalThis as { navigator?: { locks?: Locks } }).navigator?.locks : undefined
    let result: Promise<T> | undefined
    try {
      await locks?.request(name, { ifAvailable: true }, (lock) => lock && (result = work(false)))
      result ?? await locks?.request(name, { signal: AbortSignal.timeout(limit) }, () => (result = work(true)))
    } catch {} // Too long a wait, a document that may not lock, or the work's own failure, which is in the result.
    return result ?? work(false)
  }
}
