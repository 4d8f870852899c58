import { outcome, reply, session } from './record'
import { fieldsOf, findKept, readSessions } from './session.lua'
import { start } from './start.lua'

/**
 * Creates a session, ends the one that it replaces and the oldest ones above the limit, and
 * removes what has run out. A client that lost the answer sends the command again: the session is
 * there by then, and nothing else is ended.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter, sid, signer, content, idle lifetime in ms, absolute lifetime in ms, limit
 *   (0: none), the sid that is replaced ('': none).
 * Returns { done and the session, { sid, bytes } of each that ended, oldest first }, or late.
 */
export const create = (channel: string): string => `${start}
${readSessions}
for _, s in ipairs(sessions) do
  if s[1] == ARGV[2] then return { pack('${reply}', ${outcome.done}, now, 0, 0, s[2]) } end
end

local flags, generation, createdAt, refreshed = 0, 1, now, 0
local deadline = tonumber(ARGV[6])
local expires = math.min(tonumber(ARGV[5]), deadline)
local packed = pack('${session}c3c0',
  flags, generation, createdAt, refreshed, expires, deadline, ARGV[3], ARGV[4])
${findKept}
local needed = createdAt + kept

local excess = tonumber(ARGV[7]) > 0 and #sessions + 1 - ARGV[7] or 0
for _, s in ipairs(sessions) do
  if s[1] == ARGV[8] then excess = excess - 1 end
end
local answer = { pack('${reply}', ${outcome.done}, now, 0, 0, packed) }
for _, s in ipairs(sessions) do
  if s[1] == ARGV[8] or excess > 0 then
    if s[1] ~= ARGV[8] then excess = excess - 1 end
    answer[#answer + 1] = s
  else
    local _, _, createdAt, refreshed, expires, deadline = unpack('${session}', s[2])
    ${findKept}
    needed = math.max(needed, createdAt + kept)
  end
end

-- The session and its TTL come or fail together, and before anything is ended for it.
call('HSET', key, ARGV[2], packed)
local kept = redis.pcall('PEXPIREAT', key, math.ceil(needed))
if kept ~= 1 then
  call('HDEL', key, ARGV[2])
  return kept
end
for i = 2, #answer do
  call('HDEL', key, ${fieldsOf('answer[i][1]')})
  redis.pcall('PUBLISH', ${channel}, answer[i][1])
end
for _, sid in ipairs(stale) do
  if sid ~= ARGV[2] then call('HDEL', key, ${fieldsOf('sid')}) end
end
return answer
`
