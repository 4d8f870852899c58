import { mark, older, outcome } from './record'

/**
 * Judges a refresh token: `verdict`. Of the session, the locals of readSession; of the token,
 * `presented` (its generation), `handedOutAt` (since createdAt) and `proofs`: false, or two texts
 * behind their lengths, the thumbprint that the token is bound to, and that which was proven.
 * `use`: whether tokens are spent on use; `grace`: ms. Besides: `age` of the session, `since` its
 * current token was handed out, `ahead`: how far the token is before it, `demanded`: what must be
 * proven, as the session says or else the token, or ''. The moment at which a token was spent can
 * be in the future, if the clock has stepped back.
 */
export const judge = `
local age = now - createdAt
local since, ahead = age - refreshed, presented - generation
local demanded, proof, verdict = '', '', ${outcome.rotated}
if proofs then demanded, proof = unpack('>Bc0Bc0', proofs) end
if boundTo ~= '' then demanded = boundTo end
if demanded ~= '' and demanded ~= proof then
  verdict = ${outcome.unproven}
elseif ahead < 0 then
  verdict = ${outcome.reused}
  if ahead == -1 then
    if grace > 0 and since < grace then verdict = ${outcome.repeated} end
  elseif grace > 0 then
    local marks = flags % 32 >= 16 and call('HGET', key, sid .. ':') or ''
    if #marks > 8 then
      local marked, at = unpack('${mark}', marks)
      for i = 9, #marks - 5, 6 do
        local back, ms = unpack('${older}', marks, i)
        marked = marked - back
        if presented >= marked then
          if age - at < grace then verdict = ${outcome.repeated} end
          break
        end
        at = at - ms
      end
    end
  end
elseif use and ahead == 0 then
  local apart = math.abs(handedOutAt - refreshed)
  verdict = (apart == 0 or apart < grace) and ${outcome.offered} or ${outcome.reused}
end
`
