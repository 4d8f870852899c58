import type { FastifyBaseLogger } from 'fastify'
import type { Emit } from '../events'
import { deny, describe, object, wait, type Check } from '../options/schema'
import type { Ended, Replication, SessionRecord, Store } from '../store/store'
import { readContent } from './content'

/** How many replicas must have an ending, and how long they may take in ms. */
export interface DurabilitySettings {
  replicas: number
  timeout: number
}

const isCount = (given: unknown): given is number => Number.isInteger(given) && Number(given) >= 1

const read = object({
  replicas: (given, path) =>
    isCount(given) ? given : deny(path, describe(given), 'an integer of 1 or more'),
  timeout: wait(100)
})

/** Reads the option `durability`; without it no replica is asked. */
export const readDurability: Check<DurabilitySettings | undefined> =
  (given, path) => given === undefined ? undefined : read(given, path)

/** What has ended, or had ended before; then there is no record of it. */
export interface Unconfirmed {
  userTag: string
  /** Empty: no session in particular, whatever of the user was written before. */
  sid: string
  record: SessionRecord | undefined
}

/** Makes sure that endings outlive the server that they were written to. */
export interface Durability {
  /**
   * Resolves with whether enough replicas have all of these endings, also of those that had ended
   * before.
   */
  confirm: (endings: readonly Unconfirmed[]) => Promise<boolean>
  close: () => void
}

/** Asks nobody: the default, under which an ending is as durable as any other write. */
export const noDurability: Durability = { confirm: async () => true, close () {} }

/**
 * Waits for replicas after each ending; what they did not confirm in time is an event
 * `unconfirmed`.
 */
export function createDurability (
  store: Store,
  settings: DurabilitySettings,
  log: FastifyBaseLogger,
  emit: Emit
): Durability {
  const { replicas, timeout } = settings
  const replication = store.replication?.() as Replication

  async function count (ended: readonly Ended[]): Promise<number> {
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<number>((resolve) => {
      timer = setTimeout(resolve, timeout, 0)
    })
    const confirmed = replication.confirm(ended, replicas, timeout).catch((error: Error) => {
      log.warn({ reason: error.message }, 'replicas could not be asked to confirm an ending')
      return 0
    })
    return await Promise.race([confirmed, deadline]).finally(() => {
      clearTimeout(timer)
    })
  }

  return {
    confirm: async (endings) => {
      const confirmed = await count(byUser(endings))
      if (confirmed >= replicas) return true
      const known = endings.flatMap(({ record }) => record ?? [])
      if (known.length === 0) emit('unconfirmed', { replicas: confirmed })
      for (const record of known) {
        const { sid, generation } = record
        emit('unconfirmed', { sid, sub: readContent(record).sub, generation, replicas: confirmed })
      }
      return false
    },
    close: () => {
      replication.close()
    }
  }
}

function byUser (endings: readonly Unconfirmed[]): Ended[] {
  const users = new Map<string, string[]>()
  for (const { userTag, sid } of endings) {
    const sids = users.get(userTag) ?? []
    users.set(userTag, sids)
    if (sid !== '') sids.push(sid)
  }
  return [...users].map(([userTag, sids]) => ({ userTag, sids }))
}
