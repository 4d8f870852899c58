import { outcome, reply } from './record'
import { fieldsOf, readSession, readSessions } from './session.lua'
import { start } from './start.lua'
import { judge } from './verdict.lua'

/**
 * Ends all sessions of a user except one. A witness must be good at this moment: a session that
 * lives, or a refresh token that a refresh would let in. One that is reuse ends its own session,
 * and no other.
 *
 * KEYS: the user's hash.
 * ARGV: notAfter, the sid that is kept ('': none), the sid of the witness ('': none); and if the
 *   witness is a refresh token its generation, when it was handed out in ms since the session's
 *   creation, proofs (see verdict) or '', the grace period in ms, and when a token is spent:
 *   'issue' or 'use'.
 * Returns { done, { sid, bytes } of each that ended, oldest first }; reused or unproven, and the
 *   session; or unknown, or late.
 */
export const endAll = (channel: string): string => `${start}
local sid = ARGV[3]
if sid ~= '' then
  ${readSession}
  if not packed then return pack('${reply}', ${outcome.unknown}, now, 0, 0, '') end
  if ARGV[4] then
    local presented, handedOutAt = ARGV[4] + 0, ARGV[5] + 0
    local proofs, grace, use = ARGV[6] ~= '' and ARGV[6], ARGV[7] + 0, ARGV[8] == 'use'
    ${judge}
    if verdict == ${outcome.reused} then
      call('HDEL', key, ${fieldsOf('sid')})
      redis.pcall('PUBLISH', ${channel}, sid)
    end
    if verdict == ${outcome.reused} or verdict == ${outcome.unproven} then
      return pack('${reply}', verdict, now, math.abs(ahead), since, packed .. boundTo)
    end
  end
end
${readSessions}
local answer = { pack('${reply}', ${outcome.done}, now, 0, 0, '') }
for _, s in ipairs(sessions) do
  if s[1] ~= ARGV[2] then
    call('HDEL', key, ${fieldsOf('s[1]')})
    redis.pcall('PUBLISH', ${channel}, s[1])
    answer[#answer + 1] = s
  end
end
return answer
`
