import { StoreUnavailableError, refuse } from '../errors'
import type { Emit } from '../events'
import { reasonOf } from './reason'
import type { Store } from './store'
import { createTimeout } from './timeout'

type Step<S> = S extends (...args: [...infer Args, number]) => infer Result
  ? (...args: Args) => Result
  : never

/**
 * A store whose every step has its deadline inside. All reject with STORE_UNAVAILABLE where the
 * store fails or is late.
 */
export interface BoundedStore {
  /** Returns the time in ms since the epoch: by the store's clock where that is known. */
  now: () => number
  /** Returns the store's time in ms since the epoch, or `undefined` while it is not known. */
  knownTime: () => number | undefined
  create: Step<Store['create']>
  find: Step<Store['find']>
  list: Step<Store['list']>
  rotate: Step<Store['rotate']>
  update: Step<Store['update']>
  end: Step<Store['end']>
  endAll: Step<Store['endAll']>
  bind: Step<NonNullable<Store['bind']>>
  /**
   * Waits for what a start needs of the store: no longer than the timeout, nor than two seconds.
   * @param tells whether a failure is a `store-error`; `true` by default
   */
  start: <T>(step: (store: Store, timeout: number) => Promise<T>, tells?: boolean) => Promise<T>
}

/** How long a start waits at most, in ms: Fastify gives its hook 10 s, and then does not start. */
const longestStart = 2_000

/** Gives every step of a store a deadline of `timeout` ms. */
export function boundStore (store: Store, timeout: number, emit: Emit): BoundedStore {
  async function within<T> (
    step: (store: Store, timeout: number) => Promise<T>, ms = timeout, tells = true
  ): Promise<T> {
    return await inTime(() => step(store, ms), ms, (error) => {
      const reason = reasonOf(error)
      if (tells) emit('store-error', { error: new Error(reason) })
      return refuse(StoreUnavailableError, reason, { 'retry-after': '1' })
    })
  }

  return {
    now: () => store.now() ?? Date.now(),
    knownTime: () => store.now(),
    create: (userTag, creation) => within((store) => store.create(userTag, creation, timeout)),
    find: (userTag, sid) => within((store) => store.find(userTag, sid, timeout)),
    list: (userTag) => within((store) => store.list(userTag, timeout)),
    rotate: (userTag, rotation) => within((store) => store.rotate(userTag, rotation, timeout)),
    update: (userTag, change) => within((store) => store.update(userTag, change, timeout)),
    end: (userTag, sid) => within((store) => store.end(userTag, sid, timeout)),
    endAll: (userTag, ending) => within((store) => store.endAll(userTag, ending, timeout)),
    bind: (userTag, binding) =>
      within(async (store) => await store.bind?.(userTag, binding, timeout)),
    start: (step, tells) => within(step, Math.min(timeout, longestStart), tells)
  }
}

// Rejects with what `toError` makes of the first failure, and of no later one.
async function inTime<T> (
  step: () => Promise<T>, timeout: number, toError: (cause: unknown) => Error
): Promise<T> {
  let stop = (): void => {}
  try {
    const result = await new Promise<T>((resolve, reject) => {
      Promise.resolve(step()).then(resolve, reject)
      // Started last, so that the deadline of the command itself comes first.
      stop = createTimeout(timeout, () => reject(new Error(`no answer within ${timeout} ms`)))
    })
    stop()
    return result
  } catch (error) {
    stop()
    throw toError(error)
  }
}
