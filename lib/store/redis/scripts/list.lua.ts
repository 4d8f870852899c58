import { outcome, reply } from './record'
import { readSessions } from './session.lua'
import { start } from './start.lua'

/**
 * Reads all sessions of a user.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter.
 * Returns { done, { sid, bytes } of each session, oldest first }, or late.
 */
export const list = `${start}
${readSessions}
table.insert(sessions, 1, pack('${reply}', ${outcome.done}, now, 0, 0, ''))
return sessions
`
