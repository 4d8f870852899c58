import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import { emit } from '../events'
import { tagOf } from './session'
import type { Ask } from '../store/bounded'

/** What this node knows of sessions, so that it can refuse the access tokens of those that ended. */
export interface Watch {
  /** Whether a session is known to have ended; a promise where the store is asked about one that is not known yet. */
  hasEnded: (sid: string, sub: string) => boolean | Promise<boolean>
  ended: (sid: string) => void
  /** Begins to listen; resolves once it does, or is known to be cut off. */
  open: () => Promise<void>
  close: () => void
}

/** Knows nothing and costs nothing: the default, under which access tokens live out their lifetime. */
export const noWatch: Watch = { hasEnded: () => false, ended () {}, async open () {}, close () {} }

const mostAlive = 100_000

/**
 * Hears of every session that ends, and remembers it for as long as an access token lives. A session met for the first
 * time, or first again after a gap, is asked about once; while this node is cut off, what it knows to have ended stays
 * refused, and everything else passes. No bound on memory lets an ended session in: what is forgotten is asked about anew.
 * @param lifetime how long an access token lives, in ms
 */
export function createWatch (ask: Ask, lifetime: number, now: () => number, log: FastifyBaseLogger): Watch {
  const over = new Map<string, number>()
  const alive = new LRUCache<string, true>({ max: mostAlive })
  const asked = new Map<string, Promise<boolean>>()
  let state: 'new' | 'listening' | 'cut off' = 'new'
  let stop: (() => void) | undefined

  const ended = (sid: string): void => {
    const time = now()
    for (const [old, until] of over) {
      if (until > time) break
      over.delete(old)
    }
    alive.delete(sid)
    over.delete(sid)
    over.set(sid, time + lifetime)
  }

  const doubt = (reason: string | undefined): void => {
    if (state !== 'cut off') log.warn({ reason }, 'cut off from the news of ended sessions: access tokens are not checked for them')
    state = 'cut off'
    alive.clear()
    asked.clear()
  }

  async function find (sid: string, sub: string): Promise<boolean> {
    const answer = ask((store, within) => store.find(tagOf(sub), sid, within)).then((session) => {
      if (session === undefined) ended(sid)
      // An answer from before a gap says nothing about what was missed in it.
      else if (asked.get(sid) === answer) alive.set(sid, true)
    }, () => {}).then(() => {
      if (asked.get(sid) === answer) asked.delete(sid)
      return over.has(sid)
    })
    asked.set(sid, answer)
    return await answer
  }

  return {
    ended,
    hasEnded: (sid, sub) => {
      if (over.has(sid)) return true
      if (state !== 'listening' || alive.get(sid) === true) return false
      return asked.get(sid) ?? find(sid, sub)
    },
    open: async () => {
      await ask(async (store) => await new Promise<void>((resolve) => {
        stop = store.listen?.({
          ended,
          lost: (error) => {
            emit('store-error', { error })
            doubt(error.message)
            resolve()
          },
          listening: () => {
            state = 'listening'
            log.info('listening for ended sessions')
            resolve()
          }
        })
      })).catch((error: { reason?: string }) => doubt(error.reason))
    },
    close: () => { stop?.() }
  }
}
