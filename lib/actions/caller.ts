import type { FastifyRequest } from 'fastify'

/** The user of a request, and the session. */
export interface Caller {
  sub: string
  sid: string
}

/** Returns whom a guard has found; `undefined`: no guard has looked, or nobody was there. */
export const callerOf = ({ sid, user }: FastifyRequest): Caller | undefined =>
  sid === null ? undefined : { sub: (user as { sub: string }).sub, sid }
