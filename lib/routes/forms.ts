import createError = require('@fastify/error')
import type { FastifyRequest } from 'fastify'
import type { Credentials, ReadCredentials } from '../http/credentials'

/** A form lacks a parameter, or has it twice. @see RFC 6749 §5.2 */
export const InvalidRequestError = createError('INVALID_REQUEST', '%s', 400, Error, false)
/** A form asks for something other than a refresh. @see RFC 6749 §5.2 */
export const UnsupportedGrantTypeError = createError('UNSUPPORTED_GRANT_TYPE',
  'The only grant_type here is refresh_token', 400, Error, false)

const formType = /^application\/x-www-form-urlencoded\s*(?:;|$)/i

/** Returns whether a request says that its body is a form. */
export const isForm = ({ headers }: Pick<FastifyRequest, 'headers'>): boolean =>
  formType.test(headers['content-type'] ?? '')

/** Parses a form. A parameter that comes more than once is `null`: none of its values counts. */
export function parseForm (text: string): Record<string, string | null> {
  const form = new Map<string, string | null>()
  for (const [name, value] of new URLSearchParams(text)) {
    form.set(name, form.has(name) ? null : value)
  }
  return Object.fromEntries(form)
}

// Without a value, a parameter counts as omitted; twice, the request is invalid. RFC 6749 §3.2
function readField (form: unknown, name: string): string | undefined {
  const given = (form as ReturnType<typeof parseForm>)[name]
  if (given === null) throw new InvalidRequestError(`${name} is given more than once`)
  return given === '' ? undefined : given
}

/**
 * Reads the credentials of a refresh by form.
 * @throws INVALID_REQUEST, UNSUPPORTED_GRANT_TYPE
 * @see RFC 6749 §6
 */
export function readGrant (
  { headers, body, url }: FastifyRequest, readCredentials: ReadCredentials
): Credentials {
  const grantType = readField(body, 'grant_type')
  if (grantType === undefined) throw new InvalidRequestError('grant_type is required')
  if (grantType !== 'refresh_token') throw new UnsupportedGrantTypeError()
  const token = readField(body, 'refresh_token')
  return readCredentials({ headers, url, body: { refresh_token: token } })
}

/**
 * Reads the credentials of a logout by form. Its `token` may be of either kind, and is tried as
 * both: each kind is never taken for the other. What else the request brings ends nothing.
 * @throws INVALID_REQUEST
 * @see RFC 7009 §2.1
 */
export function readRevocation (
  { headers, body }: FastifyRequest, readCredentials: ReadCredentials
): Credentials {
  const named = readField(body, 'token') ?? readField(body, 'refresh_token')
  if (named !== undefined) {
    const credentials = readCredentials({ headers, body: { refresh_token: named } })
    return { ...credentials, accessToken: named }
  }
  const credentials = readCredentials({ headers })
  const { refreshTokens, accessToken } = credentials
  if (refreshTokens.length > 0 || accessToken !== undefined) return credentials
  throw new InvalidRequestError('token is required')
}
