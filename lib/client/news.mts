import type { News, Tokens } from './types.mjs'

/** Reads whose an access token is; to believe it is the server's business. */
export function readOwner (token: string): { sid: string, sub: string } {
  return JSON.parse(atob((token.split('.')[1] as string).replace(/-/g, '+').replace(/_/g, '/')))
}

/** Reads the answer to a refresh. A tab that knows of no session learns by a refusal nothing about that of the others. */
export async function readNews (response: Response, sid = '-'): Promise<News> {
  if (response.ok) return { tokens: await response.json() as Tokens }
  if (response.status === 401) return { sid }
  return { status: response.status, wait: Number(response.headers.get('retry-after')) || 1 }
}
