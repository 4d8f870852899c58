import type { Redis } from 'ioredis'

// Every session and every TTL is made older, as if that much time had passed on the server. All
// other times are since the session's creation.
const lua = `
local ms = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'hash' then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      -- Not the marks of a session, whose times are since its creation, and not its thumbprint.
      if not string.find(all[i], '[:!]$') then
        local head, createdAt, rest = struct.unpack('>I4I6', all[i + 1])
        redis.call('HSET', key, all[i], struct.pack('>I4I6', head, createdAt - ms) .. string.sub(all[i + 1], rest))
      end
    end
  end
  redis.call('PEXPIREAT', key, redis.call('PEXPIRETIME', key) - ms)
end`

/**
 * Lets `ms` pass for all sessions that a Redis server holds: its clock cannot be set, so what it
 * holds is aged.
 */
export async function age (client: Redis, ms: number): Promise<void> {
  await client.eval(lua, 0, ms)
}
