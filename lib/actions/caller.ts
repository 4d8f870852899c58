import type { FastifyRequest } from 'fastify'

/** The user of a request, and the session. */
export interface Caller {
  sub: string
  sid: string
}

/**
 * Where a request keeps the `sub` that a guard has found: what stands in `request.user` may be the
 * application's own by now.
 */
export const subOf = Symbol('the sub that a guard has found')

type Kept = Pick<FastifyRequest, 'sid'> & { [subOf]?: string | null }

/** Returns whom a guard has found; `undefined`: no guard has looked, or nobody was there. */
export function callerOf ({ sid, [subOf]: sub }: Kept): Caller | undefined {
  return sid === null || sub == null ? undefined : { sub, sid }
}
