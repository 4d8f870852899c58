import type { Credentials } from '../http/credentials'
import type { AccessClaims, AccessTokens } from '../tokens/access-token'

/** An authentic access token, expired or not. */
export interface Named {
  readonly text: string
  readonly claims: AccessClaims
}

/** Returns the authentic access tokens of texts, expired or not, the newest first. */
export function newestFirst (accessTokens: AccessTokens, texts: readonly string[]): Named[] {
  const named = texts.flatMap((text) => {
    const claims = accessTokens.verify(text)
    return claims === undefined ? [] : [{ text, claims }]
  })
  return named.sort((a, b) => b.claims.iat - a.claims.iat)
}

/** Returns the authentic access tokens of a request: of a header, then of cookies, newest first. */
export const namedByAccessToken = (
  accessTokens: AccessTokens, { accessToken, accessCookies }: Credentials
): Named[] => [
  ...newestFirst(accessTokens, accessToken === undefined ? [] : [accessToken]),
  ...newestFirst(accessTokens, accessCookies)
]
