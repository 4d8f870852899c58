import type { FastifyRequest } from 'fastify'
import { CrossOriginRequestError, refuse } from '../errors'

/**
 * Refuses requests that a page of a foreign origin makes. A client that is no browser sends neither header, and passes.
 * @throws CROSS_ORIGIN_REQUEST @see Fetch Metadata Request Headers §2.1, RFC 6454 §7
 */
export function checkOrigin (request: FastifyRequest, trustedOrigins: ReadonlySet<string>): void {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined && trustedOrigins.has(origin)) return
  const foreign = site !== undefined
    ? site !== 'same-origin' && site !== 'none'
    : origin !== undefined && !isOwn(origin, request.host)
  if (foreign) throw refuse(CrossOriginRequestError, `from ${site ?? origin}`)
}

// The host is read in the origin's scheme, so that a default port counts as the same whether it is named or not.
function isOwn (origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: originHost } = new URL(origin)
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === originHost
}
