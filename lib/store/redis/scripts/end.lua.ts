import { outcome, reply } from './record'
import { fieldsOf, readSession } from './session.lua'
import { start } from './start.lua'

/**
 * Ends one session, and publishes that. A server that forbids the channel does not prevent the
 * ending.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter, sid.
 * Returns done and the session; or unknown, or late.
 */
export const end = (channel: string): string => `${start}
local sid = ARGV[2]
${readSession}
if not packed then return pack('${reply}', ${outcome.unknown}, now, 0, 0, '') end
call('HDEL', key, ${fieldsOf('sid')})
redis.pcall('PUBLISH', ${channel}, sid)
return pack('${reply}', ${outcome.done}, now, 0, 0, packed .. boundTo)
`
