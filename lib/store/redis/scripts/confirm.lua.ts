import { fieldsOf } from './session.lua'

/**
 * Ends again what has ended, if the server has lost that since: a failover brings back what was not
 * replicated. It writes in any case: WAIT waits for the last write of its own connection.
 *
 * KEYS: the user's hash.
 * ARGV: sid…
 * Returns nothing.
 */
export const confirm = `
-- What deletes first may write afterwards also where memory is used up.
redis.call('HDEL', KEYS[1], '')
for _, sid in ipairs(ARGV) do redis.call('HDEL', KEYS[1], ${fieldsOf('sid')}) end
redis.call('HSET', KEYS[1], '', '')
redis.call('HDEL', KEYS[1], '')
`
