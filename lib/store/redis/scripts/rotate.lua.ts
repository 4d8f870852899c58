import { lastGeneration, mark, outcome, reply, session } from './record'
import { keptUntil, readSession } from './session.lua'
import { start } from './start.lua'
import { judge } from './verdict.lua'

/**
 * Judges refresh tokens, and rotates the session of each, offers it a token, lets it repeat, or ends it, as if they came
 * one after another. If there are several, one that fails keeps none of the others back, and can be sent again to learn why.
 *
 * KEYS: of each token the hash of its user.
 * ARGV: notAfter; signer, and behind its 3 characters `u` if tokens are spent on use, `c` and `p` if there are such columns;
 *   idle lifetime in ms; grace period in ms;
 *   of each token: sid; its generation; when it was handed out, in ms since the session's creation;
 *   column c: '=' and the new content, or '' to keep it; column p: proofs (see verdict), or ''.
 * Returns { of each token: rotated, offered, repeated, reused or unproven, and the session; or unknown; nil if it failed },
 *   or late.
 */
export const rotate = (channel: string): string => `${start}
local signer, idle, grace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local use, contents, proven, columns = false, false, false, 3
if #signer > 3 then
  use = string.find(signer, 'u', 4, true)
  contents = string.find(signer, 'c', 4, true) and 3
  proven = string.find(signer, 'p', 4, true) and (contents and 4 or 3)
  columns = 3 + (contents and 1 or 0) + (proven and 1 or 0)
  signer = sub(signer, 1, 3)
end

local function rotate(key, first)
  local sid, presented, handedOutAt = ARGV[first], ARGV[first + 1] + 0, ARGV[first + 2] + 0
  local content = contents and ARGV[first + contents] or ''
  local proofs = proven and ARGV[first + proven] ~= '' and ARGV[first + proven]
  ${readSession}
  ${judge}
  if verdict == ${outcome.reused} or presented >= ${lastGeneration} and verdict <= ${outcome.offered} then
    call('HDEL', key, sid)
    redis.pcall('PUBLISH', ${channel}, sid)
    if verdict <= ${outcome.offered} then return pack('${reply}', ${outcome.unknown}, now, 0, 0, '') end
    return pack('${reply}', verdict, now, -ahead, since, packed)
  end
  if verdict == ${outcome.unproven} then return pack('${reply}', verdict, now, math.abs(ahead), since, packed) end

  -- What becomes of the flags, and of what stands behind the signer.
  local bytes = sub(packed, 29)
  if boundTo ~= '' and flags < 128 then
    flags, bytes = flags + 128, boundTo .. bytes
  end
  local repeats = flags % 64
  if verdict == ${outcome.repeated} then
    if repeats < 32 then flags = flags + 32 + (repeats < 31 and 1 or 0) end
    local changed = pack('>B', flags) .. sub(packed, 2, 28) .. bytes
    if changed ~= packed then call('HSET', key, sid, changed) end
    return pack('${reply}', verdict, now, -ahead, since, changed)
  end
  if content ~= '' then bytes = boundTo .. sub(content, 2) end

  local kept = ${keptUntil}
  local distance = math.abs(ahead)
  if verdict == ${outcome.rotated} then
    if not use and flags % 128 >= 64 then distance = max(distance - 1, 0) end
    local spent = use and presented - 1 or presented
    local spentAt = spent == generation and refreshed or handedOutAt
    if max(age - spentAt, 0) < 1.125 * grace then
      local eighth = grace / 8
      local name = key .. ':' .. sid
      local marks = call('GET', name) or ''
      local marked, at
      if #marks > 8 then marked, at = unpack('${mark}', marks, #marks - 7) end
      if marked ~= generation - 1 then
        marks = pack('${mark}', generation - 1, 0)
      elseif math.floor(at / eighth) == math.floor(spentAt / eighth) then
        marks, spentAt = sub(marks, 1, -9), max(at, spentAt)
      end
      marks = sub(marks, -72) .. pack('${mark}', spent, spentAt)
      call('SET', name, marks, 'PXAT', now + ceil(1.125 * grace))
    end
    flags = flags - repeats + (repeats >= 32 and repeats - 32 or 0)
    generation, refreshed = spent + 1, use and handedOutAt or age
  end
  flags = flags - flags % 128 + flags % 64 + (use and 64 or 0)
  expires = min(age + idle, deadline)
  packed = pack('${session}c3c0', flags, generation, createdAt, refreshed, expires, deadline, signer, bytes)
  local needed = ${keptUntil}
  if needed > kept then call('PEXPIREAT', key, createdAt + needed, 'GT') end
  call('HSET', key, sid, packed)
  return pack('${reply}', verdict, now, distance, since, packed)
end

if #KEYS == 1 then return { rotate(key, 5) } end
local replies = {}
for i, each in ipairs(KEYS) do
  local done, reply = pcall(rotate, each, 5 + (i - 1) * columns)
  replies[i] = done and reply
end
return replies
`
