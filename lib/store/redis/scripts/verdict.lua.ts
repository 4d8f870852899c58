import { mark, outcome } from './record'

/**
 * Judges a refresh token: `verdict`. Of the session, the locals of readSession; of the token, `presented` (its generation),
 * `handedOutAt` (since createdAt) and `proofs`: nil, or two texts behind their lengths, the thumbprint that the token is
 * bound to, and that which was proven. `use`: whether tokens are spent on use; `grace`: ms. Besides: `age` of the session,
 * `since` its current token was handed out, `ahead`: how far the token is before it, `boundTo`: what the session is bound to.
 */
export const judge = `
local age = now - createdAt
local since, ahead = age - refreshed, presented - generation
local boundTo, proof = '', ''
if proofs then boundTo, proof = unpack('>Bc0Bc0', proofs) end
if flags >= 128 then boundTo = sub(packed, 29, 40) end
local verdict
if boundTo ~= '' and boundTo ~= proof then
  verdict = ${outcome.unproven}
elseif ahead > 0 or ahead == 0 and not use then
  verdict = ${outcome.rotated}
elseif ahead == 0 then
  local apart = math.abs(handedOutAt - refreshed)
  verdict = (apart == 0 or apart < grace) and ${outcome.offered} or ${outcome.reused}
else
  local spentAt = refreshed
  if ahead < -1 then
    spentAt = nil
    local marks = call('GET', key .. ':' .. sid) or ''
    if #marks > 8 and presented >= unpack('${mark}', marks) then
      for i = 9, #marks - 7, 8 do
        local marked, at = unpack('${mark}', marks, i)
        if marked > presented then
          spentAt = at
          break
        end
      end
    end
  end
  verdict = spentAt and max(age - spentAt, 0) < grace and ${outcome.repeated} or ${outcome.reused}
end
`
