import { lastGeneration, mark, older, outcome, reply, session } from './record'
import { fieldsOf, findKept, readSession } from './session.lua'
import { start } from './start.lua'
import { judge } from './verdict.lua'

/**
 * Judges refresh tokens, and rotates the session of each, offers it a token, lets it repeat, or
 * ends it, as if they came one after another. If there are several, one that fails keeps none of
 * the others back, and can be sent again to learn why.
 *
 * KEYS: of each token the hash of its user.
 * ARGV: notAfter; signer; idle lifetime in ms; grace period in ms; of each token sid, generation,
 *   when it was handed out in ms since the session's creation, and if they have them the present
 *   content and the new one, and its proofs (see verdict).
 *   Behind the 3 characters of the signer stands a digit, unless it is 0: 1 if tokens are spent on
 *   use, plus 2 if they have new contents, plus 4 if they have proofs.
 * Returns { of each token what it came to, and its session; nil if it failed }, or late.
 */
export const rotate = (channel: string): string => `${start}
local signer, idle, grace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local use, contents, proven, columns = false, false, false, 3
if #signer > 3 then
  local digit = string.byte(signer, 4) - 48
  use = digit % 2 == 1
  if digit % 4 >= 2 then contents, columns = columns, columns + 2 end
  if digit >= 4 then proven, columns = columns, columns + 1 end
end
if #KEYS > 1 then call = redis.pcall end

local replies, first = {}, 5
for i, key in ipairs(KEYS) do
  local sid, presented, handedOutAt = ARGV[first], ARGV[first + 1] + 0, ARGV[first + 2]
  local from, content = contents and ARGV[first + contents], contents and ARGV[first + contents + 1]
  local proofs = proven and ARGV[first + proven]
  first = first + columns
  ${readSession}
  replies[i] = false
  if not packed then
    replies[i] = pack('${reply}', ${outcome.unknown}, now, 0, 0, '')
  elseif flags then
    ${judge}
    local distance, marked, failed, unmark = math.abs(ahead), flags % 32 >= 16, false, false
    local present = string.sub(packed, 29)
    local goesOn = verdict == ${outcome.rotated} or verdict == ${outcome.offered}
    if goesOn and presented >= ${lastGeneration} then
      goesOn, verdict = false, ${outcome.unknown}
    elseif goesOn and from and present ~= from and present ~= content then
      goesOn, verdict = false, ${outcome.changed}
    end
    if flags < 128 and demanded ~= '' and (goesOn or verdict == ${outcome.repeated}) then
      -- A binding that was lost is written again.
      flags, boundTo = flags + 128, demanded
      failed = type(call('HSET', key, sid .. '!', boundTo)) ~= 'number'
    end

    if goesOn then
      local bytes = content or present
      ${findKept}
      local before = kept
      if verdict == ${outcome.rotated} then
        if distance > 0 and not use and flags % 128 >= 64 then distance = distance - 1 end
        local spent = use and presented - 1 or presented
        local burst = grace > 0 and (spent ~= generation or age - refreshed < 1.125 * grace)
        if burst then
          local marks, eighth = marked and call('HGET', key, sid .. ':') or '', grace / 8
          local newest, at, before = -1, 0, generation - 1
          if #marks > 8 then newest, at = unpack('${mark}', marks) end
          burst = false
          -- Of a token that is ahead two are marked: the last that is known, and what it spends.
          for each = generation, spent, math.max(spent - generation, 1) do
            local spentAt, back, ms = each == generation and refreshed or handedOutAt + 0, 0, 0
            if age - spentAt < 1.125 * grace then
              if newest ~= before then
                newest, at, marks = before, spentAt, ''
              elseif math.floor(at / eighth) == math.floor(spentAt / eighth) then
                back, ms = unpack('${older}', marks, 9)
                marks, spentAt = string.sub(marks, 7), math.max(at, spentAt)
              end
              back, ms = back + each - newest, math.max(ms + spentAt - at, 0)
              marks = pack('${mark}', each, spentAt)
                .. pack('${older}', math.min(back, 65535), math.min(ms, 4294967295))
                .. string.sub(marks, 9, 56)
              newest, at, burst = each, spentAt, true
            end
            before = each
          end
          failed = burst and type(call('HSET', key, sid .. ':', marks)) ~= 'number' or failed
        end
        if burst and not marked then
          flags = flags + 16
        elseif marked and not burst then
          flags, unmark = flags - 16, true
        end
        generation, refreshed = spent + 1, use and handedOutAt + 0 or age
      end
      if flags > 0 or use then
        local repeats = flags % 64
        if verdict == ${outcome.rotated} then
          repeats = repeats >= 32 and repeats - 32 or repeats % 32 - repeats % 16
        end
        flags = (flags >= 128 and 128 or 0) + (use and 64 or 0) + repeats
      end
      expires = age + idle
      if expires > deadline then expires = deadline end
      packed = pack('${session}c3c0',
        flags, generation, createdAt, refreshed, expires, deadline, signer, bytes)
      ${findKept}
      if kept > before then
        local moment = math.ceil(createdAt + kept)
        failed = failed or type(call('PEXPIREAT', key, moment, 'GT')) ~= 'number'
      end
      -- Last, so that nothing is rotated if anything fails.
      failed = failed or call('HSET', key, sid, packed) ~= 0
      if unmark then call('HDEL', key, sid .. ':') end
    elseif verdict == ${outcome.repeated} then
      -- The first repeat of a generation counts.
      if flags % 64 < 32 then flags = flags + 32 + (flags % 16 < 15 and 1 or 0) end
      if flags ~= string.byte(packed) then
        packed = pack('>B', flags) .. string.sub(packed, 2)
        failed = failed or call('HSET', key, sid, packed) ~= 0
      end
    elseif verdict == ${outcome.reused} or verdict == ${outcome.unknown} then
      failed = type(call('HDEL', key, ${fieldsOf('sid')})) ~= 'number'
      redis.pcall('PUBLISH', ${channel}, sid)
    end
    replies[i] = not failed and pack('${reply}', verdict, now, distance, since, packed .. boundTo)
  end
end
return replies
`
