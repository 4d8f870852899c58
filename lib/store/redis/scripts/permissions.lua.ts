/**
 * Tries the commands that the other scripts use, on a key that nobody has, and changes nothing.
 *
 * KEYS: the key.
 * Returns the names of those that this user may not run, or that were renamed away.
 */
export const permissions = `
local key, forbidden = KEYS[1], {}
for _, command in ipairs({
  { 'TIME' }, { 'HGETALL', key }, { 'HGET', key, '' }, { 'HSET', key, '', '' }, { 'HDEL', key, '' },
  { 'PEXPIREAT', key, 1, 'GT' }
}) do
  local reply = redis.pcall(unpack(command))
  local problem = type(reply) == 'table' and reply.err or ''
  for _, words in ipairs({ 'NOPERM', 'user executing', 'ACL failure', 'nknown .*command' }) do
    if string.find(problem, words) then forbidden[#forbidden + 1] = command[1] end
  end
end
return forbidden
`
