import type { SessionRecord } from '../../store'

export { lastGeneration } from '../../presentation'

// A session is one field of its user's hash: `prefix{userTag}`, sid → these bytes, big-endian.
//
//   0       1            4           10          15        20         25       28
//   +-------+------------+-----------+-----------+---------+----------+--------+---------+
//   | flags | generation | createdAt | refreshed | expires | deadline | signer | content |
//   +-------+------------+-----------+-----------+---------+----------+--------+---------+
//     1       3            6           5           5         5          3        any
//
//   flags: 128 it is bound; 64 an offer of the next generation was handed out; 32 a repeat came in
//   this generation; 16 it has marks; 0 to 15: in how many generations running repeats came
//
// A bound session has a second field: sid and '!' → the 12 bytes of the thumbprint. Times but
// createdAt are since createdAt, and negative if the clock has stepped back. So a small session
// stays within the 64 bytes of a listpack entry: on Redis 7, with a `sub` of 12 characters and a
// label of 20, 229 bytes for one session of a user and 117 for each of five; 293 and 181 if bound.
// A hash for each session takes 260 to 325.

/** Lua's format of a session's first 25 bytes. */
export const session = '>BI3I6i5i5i5'

/**
 * An expression of Lua: whether bytes of the right length are no session: createdAt is after
 * 2109, a thumbprint is missing, or the like.
 */
export const garbage =
  '(createdAt >= 4398046511104 or expires > deadline or flags >= 128 and #boundTo ~= 12)'

// In a burst, a session has marks, as a field of its own: sid and ':' → these bytes. A mark says
// when its generation was handed out, and stands for those between it and the next older mark: all
// of one eighth of a grace period. The oldest stands for itself and all before it, which are past
// their grace period. The newest mark comes first; each older one says how many generations and
// ms before the one on its left it is. Ten marks reach back for a grace period at least, and stay
// within the 64 bytes of a listpack entry. The first rotation after the burst removes them.
//
//   +------------+----+------+----+------+----+ - - -
//   | generation | at | back | ms | back | ms |
//   +------------+----+------+----+------+----+ - - -
//     3            5    2      4

/** Lua's format of the newest mark; `at` is since createdAt. */
export const mark = '>I3i5'
/** Lua's format of an older mark. */
export const older = '>I2I4'

// What a script returns, or the first member of it: whether and how it was done, and the session
// that was asked for, with its thumbprint.
//
//   0         1     7          11          16
//   +---------+-----+----------+-----------+ - - - - + - - - +
//   | outcome | now | distance | sinceLast | session | bound |
//   +---------+-----+----------+-----------+ - - - - + - - - +
//     1         6     4          5           any       12
//
// A script costs Redis as much for one more member of a reply as for ten lines of Lua.

/** Lua's format of a reply. */
export const reply = '>BI6I4i5c0'

/** What a script can come to: the first byte of a reply. */
export const outcome = {
  late: 0,
  unknown: 1,
  done: 2,
  rotated: 3,
  offered: 4,
  repeated: 5,
  reused: 6,
  unproven: 7,
  changed: 8
} as const

/** The name of what a script came to. */
export type OutcomeName = keyof typeof outcome

const names = Object.keys(outcome) as OutcomeName[]

/** A reply, read. */
export interface Reply {
  outcome: OutcomeName
  /** The server's time, in ms since the epoch. */
  now: number
  distance: number
  msSinceRotation: number
  /** The bytes of the session that was asked for; none if there is no such session. */
  packed: Buffer
  /** The sessions that its further members are. */
  others: SessionRecord[]
}

/** Reads the server's time of the first member of a reply, in ms since the epoch. */
export const nowOf = (head: Buffer): number => head.readUIntBE(1, 6)

/** Reads a reply; each member but the first is another session, as its sid and its bytes. */
export function toReply (members: unknown[]): Reply {
  const [head, ...others] = members as [Buffer, ...Array<[sid: Buffer, packed: Buffer]>]
  return {
    outcome: names[head[0] as number] as OutcomeName,
    now: nowOf(head),
    distance: head.readUInt32BE(7),
    msSinceRotation: head.readIntBE(11, 5),
    packed: head.subarray(16),
    others: others.map(([sid, packed]) => toRecord(sid.toString(), packed))
  }
}

/** Reads the bytes of a session, and the thumbprint behind them. */
export function toRecord (sid: string, packed: Buffer): SessionRecord {
  const createdAt = packed.readUIntBE(4, 6)
  const bound = (packed[0] as number) >= 128
  const end = packed.length - (bound ? 12 : 0)
  return {
    sid,
    generation: packed.readUIntBE(1, 3),
    createdAt,
    refreshedAt: createdAt + packed.readIntBE(10, 5),
    expiresAt: createdAt + packed.readIntBE(15, 5),
    deadline: createdAt + packed.readIntBE(20, 5),
    signer: packed.toString('latin1', 25, 28),
    content: packed.toString('utf8', 28, end),
    ...(bound ? { boundTo: packed.toString('base64url', end) } : {})
  }
}

/** Reads in how many generations running a repeat came. */
export const streakOf = (packed: Buffer): number => (packed[0] as number) & 15
