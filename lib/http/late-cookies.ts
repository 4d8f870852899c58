import type { FastifyReply } from 'fastify'
import { asHeadersLeave } from './as-headers-leave'

type Raw = FastifyReply['raw']
type Headers = Record<string, number | string | readonly string[]>

/** Cookies that are to go with the headers of an answer. */
interface Late {
  /** Set-Cookie lines. */
  cookies: readonly string[]
  /** Returns whether they are still to be sent, at the moment at which the headers leave. */
  isWanted: () => boolean
}

/**
 * Sends cookies, and `Cache-Control: no-store`, with the headers of an answer, whoever writes them.
 */
export function sendLate (raw: Raw, { cookies, isWanted }: Late): void {
  asHeadersLeave(raw, (_status, given) => {
    if (raw.headersSent || !isWanted()) return given
    // Headers that writeHead is given take the place of those that stand: they are set first.
    for (const [name, value] of Object.entries(toHeaders(given))) raw.setHeader(name, value)
    const set = raw.getHeader('set-cookie')
    raw.setHeader('set-cookie', [set ?? []].flat().map(String).concat(cookies))
    raw.setHeader('cache-control', 'no-store')
    return undefined
  })
}

// An object, or an array of names and values in turn, in which a name may come again.
function toHeaders (given: unknown): Headers {
  if (!Array.isArray(given)) return (given ?? {}) as Headers
  const headers: Record<string, string[]> = {}
  for (let i = 0; i < given.length; i += 2) {
    const values = [given[i + 1]].flat().map(String)
    ;(headers[String(given[i]).toLowerCase()] ??= []).push(...values)
  }
  return Object.fromEntries(Object.entries(headers).map(([name, [first = '', ...more]]) =>
    [name, more.length === 0 ? first : [first, ...more]]))
}
