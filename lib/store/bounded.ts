import type { FastifyBaseLogger } from 'fastify'
import { StoreUnavailableError } from '../errors'
import { emit } from '../events'
import { patience } from './timeout'
import type { Store } from './store'

/** Asks the store one thing. @throws STORE_UNAVAILABLE where it answers an error, or nothing in time */
export type Ask = <T>(step: (store: Store, within: number) => Promise<T>) => Promise<T>

/** Bounds every wait for the store to `within` ms. */
export function createAsk (store: Store, within: number): Ask {
  return (step) => new Promise((resolve, reject) => {
    let settled = false
    const settle = (act: () => void) => {
      if (settled) return
      settled = true
      stop()
      act()
    }
    const fail = (error: unknown) => settle(() => reject(unavailable(error)))
    let stop = () => {}
    try {
      Promise.resolve(step(store, within)).then((answer) => settle(() => resolve(answer)), fail)
      // Begun last: the time that the command was given is over first.
      stop = patience(within, () => fail(new Error(`no answer within ${within} ms`)))
    } catch (error) {
      fail(error)
    }
  })
}

function unavailable (error: unknown): Error {
  // A client's error carries the command with its arguments, which are nobody's business: only its words go on.
  const cause = new Error(error instanceof Error ? error.message : 'the store failed')
  emit('store-error', { error: cause })
  return Object.assign(new StoreUnavailableError(), { reason: cause.message, headers: { 'retry-after': '1' } })
}

/** Opens the store; one that is down is reported, and the requests ask it all the same. */
export async function openStore (ask: Ask, log: FastifyBaseLogger): Promise<void> {
  try {
    const warning = await ask(async (store, within) => await store.open?.(within))
    if (typeof warning === 'string') log.warn(warning)
  } catch (error) {
    log.warn({ reason: (error as { reason?: string }).reason }, 'the store of sessions is not available yet')
  }
}
