import { family, script } from './script'

/**
 * Opens a session, ending the oldest ones above the limit, and clears away what has run out.
 * KEYS: the user's hash. ARGV: notAfter, sid, signer, text, idle ms, absolute ms, limit (0: none), channel.
 * Returns: { now, 'created', packed, ended… }
 */
export const create = script(family + `
-- A client that lost the answer sends the command again: the session is there by then, and is no older one to end.
local known = get(ARGV[2])
if known then return { now, 'created', known } end
local sessions = live()
if sessions.stale then
  redis.call('DEL', key)
  for _, s in ipairs(sessions) do put(s[1], s[2], s.expiresAt) end
end
local deadline = tonumber(ARGV[6])
local expires = math.min(tonumber(ARGV[5]), deadline)
local packed = struct.pack(layout, 1, now, 0, expires, deadline, ARGV[3]) .. ARGV[4]
local reply = { now, 'created', packed }
local limit = tonumber(ARGV[7])
for i = 1, limit > 0 and #sessions + 1 - limit or 0 do
  finish(sessions[i][1], ARGV[8])
  reply[#reply + 1] = sessions[i]
end
put(ARGV[2], packed, now + expires)
return reply
`)

/**
 * Reads one session.
 * KEYS: the user's hash. ARGV: notAfter, sid. Returns: { now, 'found', packed } or { now, 'unknown' }
 */
export const find = script(`
local packed = get(ARGV[2])
if not packed then return { now, 'unknown' } end
return { now, 'found', packed }
`)

/**
 * Reads all sessions, oldest first.
 * KEYS: the user's hash. ARGV: notAfter. Returns: { now, 'listed', { sid, packed }… }
 */
export const list = script(family + `
local reply = { now, 'listed' }
for _, s in ipairs(live()) do reply[#reply + 1] = s end
return reply
`)

/**
 * Judges a refresh token, and rotates, repeats, or ends its session.
 * KEYS: the user's hash. ARGV: notAfter, sid, presented generation, signer, idle ms, grace ms, channel, text (absent: keep).
 * Returns: { now, 'rotated' | 'repeated' | 'reused', packed, distance, ms since rotation } or { now, 'unknown' }
 */
export const rotate = script(`
local packed, generation, createdAt, refreshed, deadline, rest = get(ARGV[2])
if not packed then return { now, 'unknown' } end
local presented = tonumber(ARGV[3])
local distance = math.abs(presented - generation)
local age = now - createdAt
local since = age - refreshed
if presented < generation then
  if distance == 1 and since < tonumber(ARGV[6]) then
    return { now, 'repeated', packed, distance, since }
  end
  finish(ARGV[2], ARGV[7])
  return { now, 'reused', packed, distance, since }
end
local expires = math.min(age + tonumber(ARGV[5]), deadline)
packed = struct.pack(layout, presented + 1, createdAt, age, expires, deadline, ARGV[4]) .. (ARGV[8] or string.sub(packed, rest))
put(ARGV[2], packed, createdAt + expires)
return { now, 'rotated', packed, distance, since }
`)

/**
 * Ends one session.
 * KEYS: the user's hash. ARGV: notAfter, sid, channel. Returns: { now, 'ended', packed } or { now, 'unknown' }
 */
export const end = script(`
local packed = get(ARGV[2])
if not packed then return { now, 'unknown' } end
finish(ARGV[2], ARGV[3])
return { now, 'ended', packed }
`)

/**
 * Ends all sessions save one; with a witness, only if that one lives.
 * KEYS: the user's hash. ARGV: notAfter, except, witness, channel. Returns: { now, 'ended', { sid, packed }… }
 */
export const endAll = script(family + `
local reply = { now, 'ended' }
if ARGV[3] ~= '' and not get(ARGV[3]) then return reply end
for _, s in ipairs(live()) do
  if s[1] ~= ARGV[2] then
    finish(s[1], ARGV[4])
    reply[#reply + 1] = s
  end
end
return reply
`)
