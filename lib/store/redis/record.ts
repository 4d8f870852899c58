import { outcomes, type OutcomeName } from './scripts/script'
import type { SessionRecord } from '../store'

/** What a script answers. */
export interface Answer {
  outcome: OutcomeName
  /** The server's time, in ms since the epoch. */
  now: number
  distance: number
  msSinceRotation: number
  /** The session that was asked for; empty where there is none. */
  packed: Buffer
  /** The sessions that come beside it. */
  others: SessionRecord[]
}

/** Reads an answer as the scripts pack it, and the sessions beside it. */
export function toAnswer (head: Buffer, others: Array<[sid: Buffer, packed: Buffer]> = []): Answer {
  return {
    outcome: outcomes[head[0] as number] as OutcomeName,
    now: head.readUIntBE(1, 6),
    distance: head.readUInt32BE(7),
    msSinceRotation: head.readIntBE(11, 5),
    packed: head.subarray(16),
    others: others.map(([sid, packed]) => toRecord(sid.toString(), packed))
  }
}

/** Reads a session as the scripts pack it: all its times but the first are since its creation. */
export function toRecord (sid: string, packed: Buffer): SessionRecord {
  const createdAt = packed.readUIntBE(4, 6)
  return {
    sid,
    generation: packed.readUInt32BE(0),
    createdAt,
    refreshedAt: createdAt + packed.readIntBE(10, 5),
    expiresAt: createdAt + packed.readIntBE(15, 5),
    deadline: createdAt + packed.readIntBE(20, 5),
    signer: packed.toString('latin1', 25, 28),
    text: packed.toString('utf8', 28)
  }
}
