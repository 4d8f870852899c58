import type { FastifyReply, FastifyRequest } from 'fastify'
import { isObject } from '../options/schema'
import { cookieValues, longestMaxAge, setCookie, type CookieSettings } from './cookie-settings'
import type { Transport } from '../session/session'

/** The refresh tokens that a request brings, and how; none is verified yet. */
export interface Presented {
  via: Transport
  texts: string[]
}

/** Finds what a request presents: a body's token before a cookie's, where the body may bring one. */
export function presented (request: FastifyRequest, transports: readonly Transport[], { name }: CookieSettings): Presented {
  const body: unknown = request.body
  if (transports.includes('body') && isObject(body) && body.refresh_token !== undefined && body.refresh_token !== '') {
    // A token that is not even text is as malformed as one can be.
    return { via: 'body', texts: [typeof body.refresh_token === 'string' ? body.refresh_token : '?'] }
  }
  return transports.includes('cookie') ? { via: 'cookie', texts: cookieValues(request.headers.cookie, name) } : { via: 'body', texts: [] }
}

/** Gives the browser a refresh token to keep for `ms`, or until it closes where `ms` is `undefined`. */
export function writeCookie (reply: FastifyReply, cookie: CookieSettings, token: string, ms: number | undefined): void {
  const maxAge = ms === undefined ? undefined : Math.min(Math.max(0, Math.ceil(ms / 1000)), longestMaxAge)
  reply.header('set-cookie', setCookie(cookie, token, maxAge))
}

/** Takes the refresh token away from the browser. */
export function clearCookie (reply: FastifyReply, cookie: CookieSettings): void {
  reply.header('set-cookie', setCookie({ ...cookie, attributes: { ...cookie.attributes, expires: new Date(0) } }, '', 0))
}
