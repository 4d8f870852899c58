import { outcome, reply } from './record'
import { readSession } from './session.lua'
import { start } from './start.lua'

/**
 * Reads one session.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter, sid.
 * Returns done and the session; or unknown, or late.
 */
export const find = `${start}
local sid = ARGV[2]
${readSession}
if not packed then return pack('${reply}', ${outcome.unknown}, now, 0, 0, '') end
return pack('${reply}', ${outcome.done}, now, 0, 0, packed .. boundTo)
`
