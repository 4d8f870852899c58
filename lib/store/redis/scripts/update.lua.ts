import { outcome, reply } from './record'
import { readSession } from './session.lua'
import { start } from './start.lua'

/**
 * Replaces the content of a session if it is still what it was.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter, sid, the present content, the new one.
 * Returns done and the session as it is now, changed or not; or unknown, or late.
 */
export const update = `${start}
local sid = ARGV[2]
${readSession}
if not packed then return pack('${reply}', ${outcome.unknown}, now, 0, 0, '') end
if string.sub(packed, 29) == ARGV[3] then
  packed = string.sub(packed, 1, 28) .. ARGV[4]
  call('HSET', key, sid, packed)
end
return pack('${reply}', ${outcome.done}, now, 0, 0, packed .. boundTo)
`
