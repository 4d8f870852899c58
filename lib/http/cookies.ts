import fastifyCookie = require('@fastify/cookie')
import type { FastifyInstance, FastifyReply } from 'fastify'
import { longestMaxAge, type CookieSettings } from './cookie-settings'

/** The cookies of one name. */
export interface Cookie {
  readonly name: string
  /**
   * Returns all values that a Cookie header has for the name: an old cookie of another path may
   * stand before the right one.
   */
  read: (header: string | undefined) => string[]
  /** Returns the Set-Cookie line that sets it, as `write` does. */
  serialize: (value: string, ms: number | undefined) => string
  /** Sets the cookie for `ms`, or until the browser closes if `ms` is `undefined`. */
  write: (reply: FastifyReply, value: string, ms: number | undefined) => void
  /** Takes the cookie away from the browser. */
  clear: (reply: FastifyReply) => void
}

type Attributes = CookieSettings['attributes'] & { maxAge?: number, expires?: Date }

/** What is used of @fastify/cookie, the application's own or ours. */
export interface Codec {
  serializeCookie: (name: string, value: string, attributes: Attributes) => string
  parseCookie: (header: string) => Record<string, string | undefined>
}

/**
 * Returns what reads and writes cookies: @fastify/cookie as the application has registered it, or
 * else registered in this scope. Call it in a scope of the plugin's own, where a second
 * registration meets nobody.
 */
export async function prepareCookies (scope: FastifyInstance): Promise<Codec> {
  if (!scope.hasDecorator('serializeCookie')) await scope.register(fastifyCookie, { hook: false })
  // Not the scope itself: an instance is a thenable, which `await` would resolve.
  const { serializeCookie, parseCookie } = scope as unknown as Codec
  return { serializeCookie, parseCookie }
}

/** Creates the reader and writer of the cookies of one name. */
export function createCookie (codec: Codec, { name, attributes }: CookieSettings): Cookie {
  const serialize = (value: string, ms: number | undefined): string => {
    const maxAge =
      ms === undefined ? undefined : Math.min(Math.max(0, Math.ceil(ms / 1000)), longestMaxAge)
    return codec.serializeCookie(
      name,
      value,
      maxAge === undefined ? attributes : { maxAge, ...attributes }
    )
  }
  return {
    name,
    serialize,
    read: (header = '') => {
      const values: string[] = []
      let end = 0
      for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, end)) {
        const semicolon = header.indexOf(';', at)
        end = semicolon === -1 ? header.length : semicolon
        const pair = header.slice(header.lastIndexOf(';', at) + 1, end)
        const value = codec.parseCookie(pair)[name]
        if (value) values.push(value)
      }
      return values
    },
    write: (reply, value, ms) => { reply.header('set-cookie', serialize(value, ms)) },
    clear: (reply) => {
      reply.header(
        'set-cookie',
        codec.serializeCookie(name, '', { maxAge: 0, ...attributes, expires: new Date(0) })
      )
    }
  }
}
