import type { FastifyBaseLogger } from 'fastify'
import type { BoundedStore } from './bounded'

/** How long to wait before the store is opened again, in ms. */
const retryAfter = 1_000

/**
 * Opens the store. One that is down is logged, and opened once it is there; requests ask it all the
 * same. Returns the way to give up.
 */
export function openStore (
  store: BoundedStore, log: FastifyBaseLogger
): { opened: Promise<void>, stop: () => void } {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let said: string | undefined

  async function open (): Promise<void> {
    const warning = await store.within(async (store, timeout) => await store.open?.(timeout))
    if (typeof warning === 'string' && warning !== said) log.warn(said = warning)
  }

  function openLater (): void {
    if (stopped) return
    timer = setTimeout(() => {
      // One that serves requests, and cannot be opened, is not asked for ever. One that was opened
      // is asked again if a request has failed just before: nobody else may come.
      const failing = store.failing()
      open().then(store.failing, () => failing).then((again) => { if (again) openLater() })
    }, retryAfter).unref()
  }

  const opened = open().catch(({ reason }: { reason?: string }) => {
    log.warn({ reason }, 'the store of sessions is not available yet')
    openLater()
  })
  return {
    opened,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    }
  }
}
