import { answer, family, finish, keep, keptUntil, one, pack, script, unpack, type Script } from './script'

/** One script for each verb of a store. KEYS: the user's hash. */
export interface Scripts {
  readonly create: Script
  readonly find: Script
  readonly list: Script
  readonly rotate: Script
  readonly end: Script
  readonly endAll: Script
}

/** Makes the scripts that tell of endings on that channel. */
export const createScripts = (channel: string): Scripts => ({ create: create(channel), find, list, rotate: rotate(channel), end: end(channel), endAll: endAll(channel) })

/**
 * Opens a session, ending the oldest ones above the limit, and clears away what has run out. A client that lost the
 * answer sends the command again: the session is there by then, and is no older one to end.
 * ARGV: notAfter, sid, signer, text, idle ms, absolute ms, limit (0: none). Returns: { done + session, ended { sid, packed }… }
 */
const create = (channel: string) => script(family, `
for _, s in ipairs(sessions) do
  if s[1] == ARGV[2] then return ${answer('done', 's[2]')} end
end
if stale then
  call('DEL', key)
  for _, s in ipairs(sessions) do
    call('HSET', key, s[1], s[2])
    ${unpack('s[2]')}
    local needed = ${keptUntil('createdAt', 'refreshed', 'expires', 'deadline')}
    ${keep('needed')}
  end
end
local deadline = tonumber(ARGV[6])
local expires = min(tonumber(ARGV[5]), deadline)
local packed = ${pack('1', 'now', '0', 'expires', 'deadline', 'ARGV[3]', 'ARGV[4]')}
local reply = { ${answer('done', 'packed')} }
local limit = tonumber(ARGV[7])
for i = 1, limit > 0 and #sessions + 1 - limit or 0 do
  ${finish(channel, 'sessions[i][1]')}
  reply[#reply + 1] = sessions[i]
end
call('HSET', key, ARGV[2], packed)
local needed = ${keptUntil('now', '0', 'expires', 'deadline')}
${keep('needed')}
return reply
`)

/**
 * Reads one session.
 * ARGV: notAfter, sid. Returns: done + session, or unknown
 */
const find = script(one('ARGV[2]'), `
return ${answer('done', 'packed')}
`)

/**
 * Reads all sessions, oldest first.
 * ARGV: notAfter. Returns: { done, { sid, packed }… }
 */
const list = script(family, `
table.insert(sessions, 1, ${answer('done')})
return sessions
`)

/**
 * Judges refresh tokens, and rotates, repeats, or ends the session of each, as if they came one after another. Of several,
 * one that fails keeps nothing from the others, and can be sent again to hear why.
 * KEYS: the user's hash of each. ARGV: notAfter, signer, idle ms, grace ms, then of each: sid, presented generation, '=' and text ('': keep).
 * Returns: { of each: rotated, repeated or reused + session, distance, ms since rotation; or unknown; nil where it failed }, or late
 */
const rotate = (channel: string) => script(`
local signer, idle, grace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function rotate(key, sid, presented, text)
  ${one('sid')}
  local ahead = presented - generation
  local age = now - createdAt
  local since = age - refreshed
  if ahead < 0 then
    if ahead == -1 and math.max(since, 0) < grace then
      return ${answer('repeated', 'packed', '-ahead', 'since')}
    end
    ${finish(channel, 'sid')}
    return ${answer('reused', 'packed', '-ahead', 'since')}
  end
  local kept = ${keptUntil('createdAt', 'refreshed', 'expires', 'deadline')}
  expires = min(age + idle, deadline)
  text = text == '' and string.sub(packed, tail + 3) or string.sub(text, 2)
  packed = ${pack('presented + 1', 'createdAt', 'age', 'expires', 'deadline', 'signer', 'text')}
  call('HSET', key, sid, packed)
  local needed = ${keptUntil('createdAt', 'age', 'expires', 'deadline')}
  if needed > kept then
    ${keep('needed')}
  end
  return ${answer('rotated', 'packed', 'ahead', 'since')}
end

if #KEYS == 1 then return { rotate(key, ARGV[5], ARGV[6], ARGV[7]) } end
local replies = {}
for i, key in ipairs(KEYS) do
  local done, reply = pcall(rotate, key, ARGV[3 * i + 2], ARGV[3 * i + 3], ARGV[3 * i + 4])
  replies[i] = done and reply
end
return replies
`)

/**
 * Ends one session.
 * ARGV: notAfter, sid. Returns: done + session, or unknown
 */
const end = (channel: string) => script(one('ARGV[2]'), `
${finish(channel, 'ARGV[2]')}
return ${answer('done', 'packed')}
`)

/**
 * Ends all sessions save one; with a witness, only if that one lives.
 * ARGV: notAfter, except, witness. Returns: { done, ended { sid, packed }… }
 */
const endAll = (channel: string) => script(family, `
local witnessed = ARGV[3] == ''
for _, s in ipairs(sessions) do witnessed = witnessed or s[1] == ARGV[3] end
local reply = { ${answer('done')} }
for _, s in ipairs(witnessed and sessions or {}) do
  if s[1] ~= ARGV[2] then
    ${finish(channel, 's[1]')}
    reply[#reply + 1] = s
  end
end
return reply
`)
