import { outcome, reply } from './record'
import { readSession } from './session.lua'
import { start } from './start.lua'

/**
 * Binds a session to a key, unless it is bound.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter, sid, the 12 bytes of the thumbprint.
 * Returns done and the session as it was before; or unknown, or late.
 */
export const bind = `${start}
local sid = ARGV[2]
${readSession}
if not packed then return pack('${reply}', ${outcome.unknown}, now, 0, 0, '') end
if flags < 128 then
  local head = pack('>B', flags + 128) .. string.sub(packed, 2)
  call('HSET', key, sid, head, sid .. '!', ARGV[3])
end
return pack('${reply}', ${outcome.done}, now, 0, 0, packed .. boundTo)
`
