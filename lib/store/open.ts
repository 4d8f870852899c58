import type { FastifyBaseLogger } from 'fastify'
import type { BoundedStore } from './bounded'

/** How long to wait before a store is opened again, in ms: doubled each time, up to the longest. */
const shortest = 1_000
const longest = 30_000

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

  async function open (isFirst: boolean): Promise<void> {
    const warning =
      await store.start(async (store, timeout) => await store.open?.(timeout), isFirst)
    if (stopped) return
    if (!isFirst) log.info('the store of sessions is available now')
    if (typeof warning === 'string') log.warn(warning)
  }

  function openAfter (wait: number, { reason }: { reason?: string }): void {
    if (stopped) return
    if (reason !== said) log.warn({ reason }, 'the store of sessions is not available yet')
    said = reason
    timer = setTimeout(() => {
      open(false).catch((refusal) => { openAfter(Math.min(wait * 2, longest), refusal) })
    }, wait).unref()
  }

  const opened = open(true).catch((refusal) => { openAfter(shortest, refusal) })
  return {
    opened,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    }
  }
}
