import { garbage, session } from './record'

/** The fields of a session, for HDEL: its bytes, its marks, its thumbprint. */
export const fieldsOf = (sid: string): string => `${sid}, ${sid} .. ':', ${sid} .. '!'`

/**
 * Reads the session `sid` of the hash `key`: its bytes as `packed`, its members as locals, all
 * times but createdAt since createdAt, and its thumbprint as `boundTo`, or ''. `packed` is false
 * if no such session lives. What is no session is removed.
 */
export const readSession = `
local packed, boundTo = call('HGET', key, sid), ''
local flags, generation, createdAt, refreshed, expires, deadline
if packed and #packed >= 28 then
  flags, generation, createdAt, refreshed, expires, deadline = unpack('${session}', packed)
  if flags >= 128 then boundTo = call('HGET', key, sid .. '!') or '' end
end
if not flags or ${garbage} then
  if type(packed) == 'string' then
    call('HDEL', key, ${fieldsOf('sid')})
    packed = false
  end
elseif createdAt + expires <= now then
  packed = false
end
`

/**
 * Reads all sessions of the hash `key` that live, oldest first, as `sessions`: each { sid, bytes
 * and thumbprint }. `stale` has the sids of those that do not live any more. What is no session is
 * removed.
 */
export const readSessions = `
local all, fields = call('HGETALL', key), {}
for i = 1, #all, 2 do fields[all[i]] = all[i + 1] end
local sessions, stale = {}, {}
for sid, packed in pairs(fields) do
  local boundTo, last = '', string.sub(sid, -1)
  local flags, generation, createdAt, refreshed, expires, deadline
  if #packed >= 28 then
    flags, generation, createdAt, refreshed, expires, deadline = unpack('${session}', packed)
    if flags >= 128 then boundTo = fields[sid .. '!'] or '' end
  end
  if last == ':' or last == '!' then
    -- The marks of a session, or its thumbprint.
  elseif not flags or ${garbage} then
    call('HDEL', key, ${fieldsOf('sid')})
  elseif createdAt + expires <= now then
    stale[#stale + 1] = sid
  else
    sessions[#sessions + 1] = { sid, packed .. boundTo, createdAt = createdAt }
  end
end
table.sort(sessions, function (a, b)
  if a.createdAt == b.createdAt then return a[1] < b[1] end
  return a.createdAt < b.createdAt
end)
`

/**
 * Finds out as `kept` until when the key is kept for a session, since createdAt: its end, rounded
 * up by at most a sixteenth of its idle lifetime, and never past its deadline. So most rotations
 * leave the TTL alone, and are one command for replicas and the append-only file. The key of
 * every stored session is kept until then: change this only with the layout. If the clock has
 * stepped back, `refreshed` can be past `expires`.
 */
export const findKept = `
local kept = expires + -expires % ((expires - refreshed) / 16)
if not (kept >= expires) then kept = expires elseif kept > deadline then kept = deadline end
`
