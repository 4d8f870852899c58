import type { FastifyReply } from 'fastify'

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
 * Sends cookies, and `Cache-Control: no-store`, with the headers of an answer, whoever writes them:
 * Fastify, a stream, a framework that took the raw response. Hooks such as `onSend` run too early
 * for some and never for others; all of them call `writeHead`, by themselves or through Node.
 */
export function sendLate (raw: Raw, { cookies, isWanted }: Late): void {
  const writeHead = raw.writeHead as (...args: unknown[]) => Raw
  raw.writeHead = function (this: Raw, status: number, ...rest: unknown[]) {
    raw.writeHead = writeHead as Raw['writeHead']
    if (raw.headersSent || !isWanted()) return writeHead.call(this, status, ...rest)
    // Headers that writeHead is given take the place of those that stand: they are set first.
    const given = rest.find((part) => typeof part === 'object' && part !== null)
    for (const [name, value] of Object.entries(toHeaders(given))) raw.setHeader(name, value)
    const set = raw.getHeader('set-cookie')
    raw.setHeader('set-cookie', [set ?? []].flat().map(String).concat(cookies))
    raw.setHeader('cache-control', 'no-store')
    return writeHead.call(this, status, ...rest.filter((part) => part !== given))
  } as Raw['writeHead']
}

// An object, or an array of names and values in turn, in which a name may come again.
function toHeaders (given: unknown): Headers {
  if (!Array.isArray(given)) return (given ?? {}) as Headers
  const headers: Record<string, string[]> = {}
  for (let i = 0; i < given.length; i += 2) {
    (headers[String(given[i]).toLowerCase()] ??= []).push(String(given[i + 1]))
  }
  return Object.fromEntries(Object.entries(headers).map(([name, [first = '', ...more]]) =>
    [name, more.length === 0 ? first : [first, ...more]]))
}
