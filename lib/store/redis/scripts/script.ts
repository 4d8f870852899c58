import { createHash } from 'node:crypto'

/** A Lua script, and the digest by which a server knows it. */
export interface Script {
  readonly lua: string
  readonly sha: string
}

/** What a script can answer; the first byte of an answer is the place in this list. */
export const outcomes = ['late', 'unknown', 'done', 'rotated', 'repeated', 'reused'] as const
export type OutcomeName = typeof outcomes[number]

// All sessions of a user are one hash, `prefix{user}`: sid → packed session. Measured on Redis 7 with a `sub` of 12
// characters and a label of 20: 229 bytes for one session, 117 each for five; a hash per session takes 260 to 325.
// Times are kept as offsets from createdAt, negative ones where the clock has stepped back, so that such a value stays
// within the 64 bytes of a listpack entry.
//
// Each script is a pure function of the hash, its arguments and the server's clock.
// ARGV[1] is the moment, by that clock, after which nothing may take effect: 'late' is answered then, and nothing done.
//
// What a script costs Redis is the interpreter: an argument, a member of a reply or a Lua function costs as much as ten
// lines. So there are few, answers are packed too, functions are looked up once, and what scripts share is written into
// each by the functions below: they answer Lua, an expression or statements.
const layout = '>I4I6i5i5i5'

/** An expression: the answer, with the session that was asked for as it is packed. */
export const answer = (outcome: OutcomeName, packed = "''", distance = '0', since = '0'): string =>
  `pack('>BI6I4i5c0', ${outcomes.indexOf(outcome)}, now, ${distance}, ${since}, ${packed})`

const begin = `
local call, pack, unpack, min = redis.call, struct.pack, struct.unpack, math.min
local key = KEYS[1]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[1]) then return ${answer('late')} end
`

/** Statements: the members of a packed session as locals; its signer and text begin at `tail`. */
export const unpack = (packed: string): string => `local generation, createdAt, refreshed, expires, deadline, tail = unpack('${layout}', ${packed})`

/** Statements: reads a session, its members as locals, the times since its creation; answers at once where it does not live. */
export const one = (sid: string): string => `
local packed = call('HGET', key, ${sid})
if not packed then return ${answer('unknown')} end
${unpack('packed')}
if createdAt + expires <= now then return ${answer('unknown')} end
`

/** Statements: reads all sessions of the user that live, oldest first, each { sid, packed }; `stale` tells of others that are still kept. */
export const family = `
local all = call('HGETALL', key)
local sessions, stale = {}, false
for i = 1, #all, 2 do
  local _, createdAt, _, expires = unpack('${layout}', all[i + 1])
  if createdAt + expires > now then
    sessions[#sessions + 1] = { all[i], all[i + 1], createdAt = createdAt }
  else
    stale = true
  end
end
table.sort(sessions, function (a, b)
  if a.createdAt == b.createdAt then return a[1] < b[1] end
  return a.createdAt < b.createdAt
end)
`

/** An expression: a session as it is packed. */
export const pack = (...members: [generation: string, createdAt: string, refreshed: string, expires: string, deadline: string, signer: string, text: string]): string =>
  `pack('${layout}c3c0', ${members.join(', ')})`

/**
 * An expression: the moment until which the key is kept for a session, its end rounded up by at most a sixteenth of its idle
 * lifetime, never past its deadline. So most rotations leave the TTL alone, and are one command for replicas and the
 * append-only file. Every session that is stored has had its key kept until then: the formula changes only with the layout.
 */
export const keptUntil = (createdAt: string, refreshed: string, expires: string, deadline: string): string =>
  `${createdAt} + min(${expires} + -${expires} % math.ceil((${expires} - ${refreshed}) / 16), ${deadline})`

/** Statements: keeps the key until that moment at least. GT takes a key without a TTL as one that lives for ever, so a new key is given one at once. */
export const keep = (moment: string): string => `
if call('PEXPIREAT', key, ${moment}, 'GT') == 0 and call('PTTL', key) < 0 then
  call('PEXPIREAT', key, ${moment})
end
`

/** Statements: ends a session and tells of it. A server that forbids the channel does not stop the ending, hence pcall. */
export const finish = (channel: string, sid: string): string => `
call('HDEL', key, ${sid})
redis.pcall('PUBLISH', ${quote(channel)}, ${sid})
`

/** Makes a script of what every one of them begins with, and its own parts. */
export function script (...parts: string[]): Script {
  const lua = [begin, ...parts].join('').trimStart()
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/** A text as Lua reads it, whatever is in it. */
function quote (text: string): string {
  return `'${text.replace(/[^\w:-]/gu, (character) => [...Buffer.from(character)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join(''))}'`
}
