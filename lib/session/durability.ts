import { deny, describe, duration, object, type Check } from '../options/schema'
import { emit } from '../events'
import { contentOf } from './session'
import type { Replication, SessionRecord, Store } from '../store/store'

/** How many replicas must have an ending, and how long they may take in ms. */
export interface DurabilitySettings {
  replicas: number
  timeout: number
}

const isCount = (given: unknown): given is number => Number.isInteger(given) && Number(given) >= 1

const read = object({
  replicas: (given, path) => isCount(given) ? given : deny(path, describe(given), 'an integer of 1 or more'),
  timeout: duration(100)
})

/** Reads the option `durability`; without it nobody is asked. */
export const readDurability: Check<DurabilitySettings | undefined> = (given, path) => given === undefined ? undefined : read(given, path)

/** Makes sure that endings outlive the server that they were written to. */
export interface Durability {
  /** Tells whether enough replicas have what has just ended, of the user with that tag; asked also where nothing had to be ended any more. */
  confirm: (tag: string, ended: readonly SessionRecord[]) => Promise<boolean>
  close: () => void
}

/** Asks nobody: the default, under which an ending is as durable as any other write. */
export const noDurability: Durability = { confirm: async () => true, close () {} }

/** Waits for replicas after each ending; what they did not confirm in time is an event `unconfirmed`. */
export function createDurability (store: Store, { replicas, timeout }: DurabilitySettings): Durability {
  const replication = store.replication?.() as Replication

  async function count (tag: string, sids: string[]): Promise<number> {
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<number>((resolve) => { timer = setTimeout(resolve, timeout, 0) })
    const confirmed = replication.confirm(tag, sids, replicas, timeout).catch(() => 0)
    return await Promise.race([confirmed, deadline]).finally(() => { clearTimeout(timer) })
  }

  return {
    confirm: async (tag, ended) => {
      const confirmed = await count(tag, ended.map(({ sid }) => sid))
      if (confirmed >= replicas) return true
      if (ended.length === 0) emit('unconfirmed', { replicas: confirmed })
      for (const record of ended) emit('unconfirmed', { sid: record.sid, sub: contentOf(record).sub, generation: record.generation, replicas: confirmed })
      return false
    },
    close: () => { replication.close() }
  }
}
