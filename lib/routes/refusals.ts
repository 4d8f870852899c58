import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'

/**
 * Does a step, and logs its refusal. The headers stand before the error is thrown, so that they
 * outlive whatever error handler the application has.
 */
export async function refuseWithHeaders<T> (
  request: FastifyRequest, reply: FastifyReply, step: () => Promise<T>
): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const { code, reason, headers } = error as Refusal
    if (headers !== undefined) reply.headers(headers)
    if (reason !== undefined) request.log.info({ code, reason }, 'request refused')
    throw error
  }
}
