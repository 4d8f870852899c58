import { STATUS_CODES, type OutgoingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import * as errors from '../errors'
import type { RouteExtras } from '../options/options'
import { isObject } from '../options/schema'
import { InvalidRequestError, isForm, UnsupportedGrantTypeError } from './forms'

type ErrorHandler = NonNullable<RouteExtras['errorHandler']>

/** What is used of an error, as Fastify uses it. */
type Thrown = Partial<errors.AuthError> & { status?: unknown }

/**
 * The verdicts on what a form brings, by what was thrown: an error of the application's that has
 * the same code is none. @see RFC 6749 §5.2, RFC 9449 §5, §8
 */
const verdicts = new Map<unknown, string>([
  [InvalidRequestError, 'invalid_request'],
  [errors.RefreshTokenMissingError, 'invalid_request'],
  [errors.AccessTokenMissingError, 'invalid_request'],
  [UnsupportedGrantTypeError, 'unsupported_grant_type'],
  [errors.RefreshTokenInvalidError, 'invalid_grant'],
  [errors.RefreshTokenExpiredError, 'invalid_grant'],
  [errors.RefreshTokenReusedError, 'invalid_grant'],
  [errors.RefreshTokenUnprovenError, 'invalid_grant'],
  [errors.AccessTokenInvalidError, 'invalid_grant'],
  [errors.AccessTokenExpiredError, 'invalid_grant'],
  [errors.SessionRevokedError, 'invalid_grant'],
  [errors.DpopProofMissingError, 'invalid_dpop_proof'],
  [errors.DpopProofInvalidError, 'invalid_dpop_proof'],
  [errors.DpopNonceRequiredError, 'use_dpop_nonce']
])

/**
 * Puts the error handler of forms before the application's own, of the route or of the instance:
 * those write whatever they like, and many OAuth clients take any member `error` for the end of the
 * session. The errors of JSON stay theirs.
 */
export function answerForms (options: RouteExtras): RouteExtras {
  const { errorHandler } = options
  const handle: ErrorHandler = function (error, request, reply) {
    if (isForm(request)) {
      answered.add(request)
      // An application may throw anything at all.
      return answerForm(isObject(error) ? error : {}, request, reply)
    }
    if (errorHandler === undefined) throw error
    return errorHandler.call(this, error, request, reply)
  }
  return { ...options, errorHandler: handle }
}

/** The requests by form whose errors have been answered. */
const answered = new WeakSet<FastifyRequest>()

/**
 * Answers a form whose error could not be answered, since a hook of the application fails on
 * whatever is sent. Past all hooks: the next to be asked would be the application's error handler,
 * and then Fastify, whose answer has a member `error`.
 */
export function answerFormsAtLast (scope: FastifyInstance): void {
  scope.setErrorHandler((error, request, reply) => {
    if (!answered.has(request)) throw error
    request.log.error({ err: error }, 'the answer to a form could not be sent')
    const status = 500
    const body = JSON.stringify({ statusCode: status, message: STATUS_CODES[status] })
    reply.type('application/json; charset=utf-8').header('content-length', body.length).hijack()
    reply.raw.writeHead(status, reply.getHeaders() as OutgoingHttpHeaders)
    reply.raw.end(body)
  })
}

// Sent as text: no response schema of the application filters it.
function answerForm (
  error: Thrown, request: FastifyRequest, reply: FastifyReply
): FastifyReply {
  const { code, headers } = error
  reply.type('application/json; charset=utf-8')
  const verdict = verdicts.get(error.constructor)
  if (verdict !== undefined) {
    // A challenge belongs to a 401; some clients look at nothing else where there is one. That of a
    // proof says what the body says, and clients look for it in either.
    if (!verdict.endsWith('dpop_proof') && verdict !== 'use_dpop_nonce') {
      reply.removeHeader('www-authenticate')
    }
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
