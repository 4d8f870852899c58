/**
 * Tries the commands that the other scripts use, on a key that nobody has, and changes nothing:
 * HSET is tried only where HDEL may take away again what it writes.
 *
 * KEYS: the key.
 * Returns the names of those that this user may not run, or that were renamed away.
 */
export const permissions = `
local key, forbidden = KEYS[1], {}
local function allows(...)
  local reply = redis.pcall(...)
  local problem = type(reply) == 'table' and reply.err or ''
  for _, words in ipairs({ 'NOPERM', 'user executing', 'ACL failure', 'nknown .*command' }) do
    if string.find(problem, words) then
      forbidden[#forbidden + 1] = (...)
      return false
    end
  end
  return true
end
allows('TIME')
allows('HGETALL', key)
allows('HGET', key, '')
allows('PEXPIREAT', key, 1, 'GT')
if allows('HDEL', key, '') and allows('HSET', key, '', '') then redis.pcall('HDEL', key, '') end
return forbidden
`
