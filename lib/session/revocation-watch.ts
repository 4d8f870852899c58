import type { FastifyBaseLogger } from 'fastify'
import { FifoMap, LruMap } from 'toad-cache'
import type { Emit } from '../events'
import type { BoundedStore } from '../store/bounded'
import { reasonOf } from '../store/reason'
import { userTagOf } from './content'

/**
 * What this node knows of sessions, so that it can refuse the access tokens of those that ended.
 */
export interface RevocationWatch {
  /**
   * Returns whether a session is known to have ended; a promise if the store is asked about one not
   * known yet.
   */
  hasEnded: (sid: string, sub: string) => boolean | Promise<boolean>
  /** Returns whether a session is known to have ended, without asking. */
  isKnownToHaveEnded: (sid: string) => boolean
  ended: (sid: string) => void
  /** Starts to listen; resolves once it does, or is known to be disconnected. */
  open: () => Promise<void>
  close: () => void
}

/**
 * Knows nothing and costs nothing: the default, under which access tokens live out their lifetime.
 */
export const noWatch: RevocationWatch = {
  hasEnded: () => false,
  isKnownToHaveEnded: () => false,
  ended () {},
  async open () {},
  close () {}
}

/** How many sessions of either kind are remembered: those that ended last, those met last. */
const most = 100_000
/** How many are forgotten at most for each that ends, so that no ending pauses the process. */
const mostForgotten = 4

/**
 * Listens for every session that ends, and remembers it for as long as an access token lives, the
 * 100,000 that ended last. It asks the store once about a session that it meets for the first time,
 * or for the first time after a gap. While this node is disconnected, what it knows to have ended
 * stays refused, and everything else passes. The store is asked again about a session that the
 * bound on memory has made it forget: an ended one passes only while this node is disconnected, or
 * the store does not answer.
 * @param lifetime how long an access token lives, in ms
 */
export function createWatch (
  store: BoundedStore, lifetime: number, log: FastifyBaseLogger, emit: Emit
): RevocationWatch {
  const over = new FifoMap<number>(most)
  const alive = new LruMap<true>(most)
  const asked = new Map<string, Promise<boolean>>()
  let state: 'new' | 'listening' | 'disconnected' = 'new'
  let stop: (() => void) | undefined

  const isKnownToHaveEnded = (sid: string): boolean => over.get(sid) !== undefined

  const ended = (sid: string): void => {
    const time = store.now()
    for (let left = mostForgotten; left > 0; left--) {
      const oldest = over.first as { value: number } | null
      if (oldest === null || oldest.value > time) break
      over.evict()
    }
    alive.delete(sid)
    // An answer from before must not be remembered for longer than this ending is.
    asked.delete(sid)
    over.delete(sid)
    over.set(sid, time + lifetime)
  }

  const doubt = (reason: string | undefined): void => {
    if (state !== 'disconnected') {
      log.warn(
        { reason },
        'disconnected from pub/sub of ended sessions: access tokens are not checked for them'
      )
    }
    state = 'disconnected'
    alive.clear()
    asked.clear()
  }

  async function find (sid: string, sub: string): Promise<boolean> {
    const answer = store.find(userTagOf(sub), sid).then((session) => {
      if (session === undefined) ended(sid)
      // An answer from before a gap says nothing about what was missed in it.
      else if (asked.get(sid) === answer) alive.set(sid, true)
    }, () => {}).then(() => {
      if (asked.get(sid) === answer) asked.delete(sid)
      return isKnownToHaveEnded(sid)
    })
    asked.set(sid, answer)
    return await answer
  }

  return {
    ended,
    isKnownToHaveEnded,
    hasEnded: (sid, sub) => {
      if (isKnownToHaveEnded(sid)) return true
      if (state !== 'listening' || alive.get(sid) === true) return false
      return asked.get(sid) ?? find(sid, sub)
    },
    open: async () => {
      const listening = store.start(async (store) => await new Promise<void>((resolve) => {
        stop = store.listen?.({
          ended,
          lost: (error) => {
            const reason = reasonOf(error)
            emit('store-error', { error: new Error(reason) })
            doubt(reason)
            resolve()
          },
          listening: () => {
            state = 'listening'
            log.info('listening on pub/sub for ended sessions')
            resolve()
          }
        })
      }))
      await listening.catch((error: { reason?: string }) => doubt(error.reason))
    },
    close: () => { stop?.() }
  }
}
