import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AuthError } from '../errors'
import type { RouteExtras } from '../options/options'
import { isObject } from '../options/schema'
import { isForm } from './forms'

type ErrorHandler = NonNullable<RouteExtras['errorHandler']>

/** What is used of an error, as Fastify uses it. */
type Thrown = Partial<AuthError> & { status?: unknown }

/** The verdicts on what a form brings, by their codes. @see RFC 6749 §5.2, RFC 9449 §5, §8 */
const verdicts = new Map([
  ['INVALID_REQUEST', 'invalid_request'],
  ['REFRESH_TOKEN_MISSING', 'invalid_request'],
  ['ACCESS_TOKEN_MISSING', 'invalid_request'],
  ['UNSUPPORTED_GRANT_TYPE', 'unsupported_grant_type'],
  ['REFRESH_TOKEN_INVALID', 'invalid_grant'],
  ['REFRESH_TOKEN_EXPIRED', 'invalid_grant'],
  ['REFRESH_TOKEN_REUSED', 'invalid_grant'],
  ['REFRESH_TOKEN_UNPROVEN', 'invalid_grant'],
  ['ACCESS_TOKEN_INVALID', 'invalid_grant'],
  ['ACCESS_TOKEN_EXPIRED', 'invalid_grant'],
  ['SESSION_REVOKED', 'invalid_grant'],
  ['DPOP_PROOF_MISSING', 'invalid_dpop_proof'],
  ['DPOP_PROOF_INVALID', 'invalid_dpop_proof'],
  ['DPOP_NONCE_REQUIRED', 'use_dpop_nonce']
])

/**
 * Puts the error handler of forms before the application's own, of the route or of the instance:
 * those write whatever they like, and many OAuth clients take any member `error` for the end of the
 * session. The errors of JSON stay theirs.
 */
export function answerForms (options: RouteExtras): RouteExtras {
  const { errorHandler } = options
  const handle: ErrorHandler = function (error, request, reply) {
    // An application may throw anything at all.
    if (isForm(request)) return answerForm(isObject(error) ? error : {}, request, reply)
    if (errorHandler === undefined) throw error
    return errorHandler.call(this, error, request, reply)
  }
  return { ...options, errorHandler: handle }
}

// Sent as text: no response schema of the application filters it.
function answerForm (
  error: Thrown, request: FastifyRequest, reply: FastifyReply
): FastifyReply {
  const { code, headers } = error
  reply.type('application/json; charset=utf-8')
  const verdict = verdicts.get(code ?? '')
  if (verdict !== undefined) {
    // A challenge belongs to a 401; some clients look at nothing else where there is one.
    reply.removeHeader('www-authenticate')
    return reply.code(400).header('cache-control', 'no-store')
      .send(JSON.stringify({ error: verdict, error_description: error.message }))
  }
  if (headers !== undefined) reply.headers(headers)
  const given = error.statusCode ?? error.status
  const status = reply.statusCode >= 400 ? reply.statusCode : statusOf(given)
  if (status >= 500) request.log.error({ err: error }, 'a form could not be answered')
  const message = messageOf(error, status)
  return reply.code(status).send(JSON.stringify({ statusCode: status, code, message }))
}

const statusOf = (given: unknown): number =>
  typeof given === 'number' && given >= 400 && given <= 599 ? given : 500

// What went wrong in the application is its own: a refusal's message was written for the client.
const messageOf = ({ message, reason }: Thrown, status: number): string | undefined =>
  status >= 500 && reason === undefined ? STATUS_CODES[status] : message
