import type { FastifyReply } from 'fastify'

type Raw = FastifyReply['raw']

/**
 * Calls `act` once, as the headers of an answer leave, whoever writes them: Fastify, a stream, a
 * framework that took the raw response. Hooks such as `onSend` run too early for some and never
 * for others; all of them call `writeHead`, by themselves or through Node. `act` is given the
 * status and the headers that `writeHead` is given, an object or a list of names and values in
 * turn, and returns those that it is given instead.
 */
export function asHeadersLeave (
  raw: Raw, act: (status: number, given: object | undefined) => object | undefined
): void {
  const writeHead = raw.writeHead as (...args: unknown[]) => Raw
  raw.writeHead = function (this: Raw, status: number, ...rest: unknown[]) {
    raw.writeHead = writeHead as Raw['writeHead']
    const isGiven = (part: unknown): part is object => typeof part === 'object' && part !== null
    const headers = act(status, toList(rest.find(isGiven)))
    const others = rest.filter((part) => !isGiven(part))
    return writeHead.call(this, status, ...others, ...(headers === undefined ? [] : [headers]))
  } as Raw['writeHead']
}

// Node takes pairs as well, but only as long as no header has been set before.
const toList = (given: object | undefined): object | undefined =>
  Array.isArray(given) && Array.isArray(given[0]) ? given.flat() : given
