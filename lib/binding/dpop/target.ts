import type { FastifyRequest } from 'fastify'

/** What says where a request went, as Fastify's `trustProxy` has it. */
export type Targeted = Pick<FastifyRequest, 'protocol' | 'host' | 'originalUrl'>

/**
 * Returns the URL of a request, normalized, without query and fragment; `undefined` if it has none,
 * as with a malformed Host header.
 * @see RFC 9449 §4.3
 */
export const targetOf = ({ protocol, host, originalUrl }: Targeted): string | undefined =>
  normalize(`${protocol}://${host}${originalUrl.replace(/[?#].*$/s, '')}`)

/** Returns whether `htu` is a URL without query and fragment. @see RFC 9449 §4.2 */
export const isTarget = (htu: unknown): htu is string =>
  typeof htu === 'string' && !/[?#]/.test(htu) && URL.canParse(htu)

/** Returns a URL in its one spelling: scheme and host in lower case, no default port. */
export const normalize = (url: string): string | undefined =>
  URL.canParse(url) ? new URL(url).href : undefined
