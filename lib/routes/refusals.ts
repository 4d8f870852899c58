import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'
import { carryHeaders } from '../http/challenge'

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

/**
 * Does a step within a handler of the application, and logs its refusal. The handler may catch it
 * and answer something else: the headers go with an answer of the refusal's status only.
 */
export async function refuseToHandler<T> (
  { raw, request }: Pick<FastifyReply, 'raw' | 'request'>, step: () => Promise<T>
): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const { code, reason } = error as Refusal
    carryHeaders(raw, error as Refusal)
    if (reason !== undefined) request.log.info({ code, reason }, 'request refused')
    throw error
  }
}
