import type { IncomingHttpHeaders } from 'node:http'
import { CrossOriginRequestError, refuse } from '../errors'

/** Returns whether pages of an origin may call the plugin's routes. */
export type IsTrusted = (origin: string) => boolean

/** What the check uses of a request. `host` as Fastify's `trustProxy` has it. */
interface Sent {
  headers: IncomingHttpHeaders
  host: string
}

/** Creates the test for `trustedOrigins`. A pattern must match the whole origin. */
export function createIsTrusted (trustedOrigins: ReadonlyArray<string | RegExp>): IsTrusted {
  const names = new Set(trustedOrigins.filter((origin) => typeof origin === 'string'))
  const patterns = trustedOrigins.filter((origin) => origin instanceof RegExp)
    .map(({ source, flags }) => new RegExp(`^(?:${source})$`, flags.replace(/[gy]/g, '')))
  return (origin) => names.has(origin) || patterns.some((pattern) => pattern.test(origin))
}

/**
 * Returns whether a page of a foreign origin makes this request. A client that is no browser sends
 * neither header: it is not.
 * @see Fetch Metadata Request Headers §2.1, RFC 6454 §7
 */
export function isForeign ({ headers, host }: Sent, isTrusted: IsTrusted): boolean {
  const { origin, 'sec-fetch-site': site } = headers
  if (origin !== undefined && isTrusted(origin)) return false
  return site !== undefined
    ? site !== 'same-origin' && site !== 'none'
    : origin !== undefined && !isOwn(origin, host)
}

const safe = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Returns whether a request may change something. A handshake may, whatever its method: a socket
 * can do anything.
 * @see RFC 9110 §9.2.1
 */
export const isUnsafe = ({
  method,
  headers
}: {
  method: string
  headers: IncomingHttpHeaders
}): boolean => !safe.has(method) || headers.upgrade !== undefined

/** Refuses requests that a page of a foreign origin makes. @throws CROSS_ORIGIN_REQUEST */
export function checkOrigin (sent: Sent, isTrusted: IsTrusted): void {
  if (!isForeign(sent, isTrusted)) return
  const { origin, 'sec-fetch-site': site } = sent.headers
  const from = origin === undefined ? `a page that is ${site}` : `a page of ${origin.slice(0, 100)}`
  throw refuse(CrossOriginRequestError, `from ${from}, to ${sent.host}; ${cureOf(sent.headers)}`)
}

// Who calls that page its own is told what hides it.
function cureOf ({ origin, 'sec-fetch-site': site }: IncomingHttpHeaders): string {
  const cure = 'trustedOrigins names the origins that may'
  if (site !== undefined) return cure
  return origin === 'null'
    ? 'a page with Referrer-Policy: no-referrer hides its origin so; same-origin does not'
    : `${cure}; behind a proxy, trustProxy says whose Host counts`
}

// The host is read in the origin's scheme, so that a default port counts as the same whether it is
// named or not.
function isOwn (origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: originHost } = new URL(origin)
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === originHost
}
