import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../errors'
import { carryHeaders } from '../http/challenge'

/** Logs why a request is refused: an error handler of the application's may not. */
export function logRefusal ({ log }: FastifyRequest, error: unknown): void {
  const { code, reason } = error as Refusal
  if (reason !== undefined) log.info({ code, reason }, 'request refused')
}

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
    const { headers } = error as Refusal
    if (headers !== undefined) reply.headers(headers)
    logRefusal(request, error)
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
    carryHeaders(raw, error as Refusal)
    logRefusal(request, error)
    throw error
  }
}
