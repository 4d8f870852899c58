import { outcome, reply } from './record'
import { readSession } from './session.lua'
import { start } from './start.lua'

/**
 * Binds a session to a key, unless it is bound.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter, sid, the 12 bytes of the thumbprint.
 * Returns done and the session, bound to the key that came first; or unknown, or late.
 */
export const bind = `${start}
local sid = ARGV[2]
${readSession}
if not packed then return pack('${reply}', ${outcome.unknown}, now, 0, 0, '') end
if flags < 128 then
  packed = pack('>B', flags + 128) .. string.sub(packed, 2, 28) .. ARGV[3] .. string.sub(packed, 29)
  call('HSET', key, sid, packed)
end
return pack('${reply}', ${outcome.done}, now, 0, 0, packed)
`
