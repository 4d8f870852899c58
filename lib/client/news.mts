import type { News, SessionEnd, Tokens, TokenStorage } from './types.mjs'

/** Whose an access token is, as far as it can be read. */
export interface Owner { sid?: string, sub?: string, cnf?: object }

/** Reads whose an access token is; to believe it is the server's business. */
export function readOwner (token: string): Owner {
  try {
    return JSON.parse(atob((token.split('.')[1] as string).replace(/-/g, '+').replace(/_/g, '/')))
  } catch {
    return {} // React Native has atob from 0.74 on; and an application may have tokens of its own.
  }
}

/**
 * Reads the answer to a login or a refresh. Whatever is neither tokens nor a verdict on the session
 * `sid` is an outage. A tab that knows of no session learns by a refusal nothing about that of the
 * others.
 */
export async function readNews (
  response: Response, storage?: TokenStorage, sid?: string
): Promise<News> {
  const { status, ok } = response
  const tokens = await response.clone().json().catch(() => {}) as Tokens ?? {}
  const text = JSON.stringify(tokens)
  let message
  // Wherever in the body an error handler has put it.
  const verdict = /(?:REFRESH|ACCESS)_TOKEN_(..)|SESSION_REVOKED|invalid_grant/.exec(text)
  if (verdict && status % 400 < 2) { // 400 or 401
    // By how it goes on: EXPIRED, MISSING (a browser drops a cookie that has run out), REUSED.
    const reasons: Record<string, SessionEnd> = { EX: 'expired', MI: 'expired', RE: 'reused' }
    return { sid, reason: reasons[verdict[1] as string] ?? 'revoked' }
  }
  if (ok && tokens.access_token && tokens.expires_in > 0) {
    if (!storage || tokens.refresh_token) return { tokens }
    message = 'no refresh token'
  } else if (/^{"expires_in[^,]+$/.test(text)) message = 'no client in cookie mode'
  return {
    // A maintenance page may ask for a day.
    wait: Math.min(response.headers.get('retry-after') as unknown as number, 60) || 1,
    status,
    message
  }
}
