import { outcome, reply } from './record'

/**
 * How every script begins: what it uses often, as locals, and its deadline. ARGV[1], `notAfter`:
 * the last moment, in ms since the epoch by the server's clock, at which it may take effect;
 * after that it returns `late` and does nothing.
 */
export const start = `
local call, pack, unpack = redis.call, struct.pack, struct.unpack
local key = KEYS[1]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[1]) then return pack('${reply}', ${outcome.late}, now, 0, 0, '') end
`
