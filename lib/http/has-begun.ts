import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * Returns whether a request was let in before, and its answer can bring no headers any more: a
 * stream that has begun, or a socket.
 */
export const hasBegun = (
  { sid, headers }: FastifyRequest, answer: Pick<FastifyReply, 'raw'> | undefined
): boolean =>
  sid !== null && (answer?.raw.headersSent === true || headers.upgrade !== undefined)
