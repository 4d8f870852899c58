import type { SessionRecord } from './store'

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
