import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import { emit } from './events'
import { tagOf } from './session'
import type { Ask } from './store/ask'
import type { Store } from './store/store'

/** What this node knows of sessions, so that it can refuse the access tokens of those that ended. */
export interface Watch {
  /** Whether a session is known to have ended; a promise where the store is asked about one that is not known yet. */
  hasEnded: (sid: string, sub: string) => boolean | Promise<boolean>
  alive: (sid: string) => void
  ended: (sid: string) => void
  close: () => void
}

/** Knows nothing and costs nothing: the default, under which access tokens live out their lifetime. */
export const noWatch: Watch = { hasEnded: () => false, alive () {}, ended () {}, close () {} }

const most = 100_000

/**
 * Hears of every session that ends. A session met for the first time, or first again after a gap, is asked about once;
 * while this node is cut off, what it knows to have ended stays refused, and everything else passes.
 * What is forgotten is asked about anew, so no bound on memory can let an ended session in.
 * @param lifetime how long an access token lives, in ms
 */
export function createWatch (store: Store, ask: Ask, lifetime: number, log: FastifyBaseLogger): Watch {
  const known = new LRUCache<string, 'alive' | 'ended'>({ max: most, ttl: lifetime })
  let period = 0
  let listening = false

  const alive = (sid: string) => {
    if (listening && known.get(sid) !== 'ended') known.set(sid, 'alive')
  }
  const ended = (sid: string) => { known.set(sid, 'ended') }

  const close = store.listen?.({
    ended,
    lost: (error) => {
      listening = false
      emit('store-error', { error })
      log.warn({ reason: error.message }, 'cut off from the news of ended sessions')
    },
    listening: () => {
      listening = true
      period++
      for (const [sid, state] of known.entries()) if (state === 'alive') known.delete(sid)
      log.info('listening for ended sessions')
    }
  })

  async function find (sid: string, sub: string): Promise<boolean> {
    const asked = period
    const session = await ask(async (store, within) => await store.find(tagOf(sub), sid, within)).catch(() => 'unavailable' as const)
    if (session === undefined) ended(sid)
    // An answer from before a gap says nothing about what was missed in it.
    else if (session !== 'unavailable' && asked === period) alive(sid)
    return known.get(sid) === 'ended'
  }

  return {
    alive,
    ended,
    close: () => { close?.() },
    hasEnded: (sid, sub) => {
      const state = known.get(sid)
      return state === undefined && listening ? find(sid, sub) : state === 'ended'
    }
  }
}
