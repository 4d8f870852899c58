import createError = require('@fastify/error')
import type { FastifyInstance } from 'fastify'
import { describe, isObject } from '../options/schema'
import { isForm, parseForm } from './forms'

const InvalidBodyError = createError('FST_ERR_VALIDATION', '%s', 400)
const UnsupportedMediaTypeError = createError('FST_ERR_CTP_INVALID_MEDIA_TYPE',
  'Unsupported Media Type: %s; allowed: %s, or no body', 415)

/** Whether a content type is JSON. */
export const isJson = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i
const longestEcho = 60

/** The most that a body of the plugin's routes may have, in bytes. */
export const bodyLimit = 16 * 1024

/**
 * Takes JSON, forms where they are on, and empty bodies of whatever type: real clients name any
 * type on a POST without a body. An empty body keeps no type, so it is no form either.
 */
export function acceptBodies (scope: FastifyInstance, { forms }: { forms: boolean }): void {
  const allowed = forms ? 'application/json, application/x-www-form-urlencoded' : 'application/json'
  scope.addHook('onRequest', (request, _reply, done) => {
    const { headers, httpVersionMajor } = request.raw
    const { 'content-length': length, 'transfer-encoding': coding } = headers
    // In HTTP/2 a body needs neither header.
    const isEmpty =
      length === '0' || (length === undefined && coding === undefined && httpVersionMajor === 1)
    if (isEmpty) delete headers['content-type']
    done()
  })
  // A body that comes in chunks can be empty too.
  const parseJson = scope.getDefaultJsonParser('error', 'error')
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit }, (request, body, done) => {
    const type = request.headers['content-type'] ?? 'none'
    if (body === '') {
      delete request.raw.headers['content-type']
      return done(null, undefined)
    }
    if (forms && isForm(request)) return done(null, parseForm(body as string))
    if (!isJson.test(type)) {
      return done(new UnsupportedMediaTypeError(type.slice(0, longestEcho), allowed))
    }
    parseJson(request, body as string, done)
  })
}

/** Reads whether a logout is to end all sessions of the user. @throws FST_ERR_VALIDATION, 400 */
export function readAll (body: unknown): boolean {
  const all = isObject(body) ? body.all : undefined
  if (all !== undefined && typeof all !== 'boolean') {
    throw new InvalidBodyError(`body/all is ${describe(all)}; allowed: true or false`)
  }
  return all === true
}
