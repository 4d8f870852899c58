import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { CookieSettings } from './cookie-settings'

const sites = 'localhost and 127.0.0.1 are two sites, so the browser does not keep the refresh ' +
  'cookie of this login; use one of the names for the page and for the API'
const foreign = 'a page of another site logs in here, so the browser does not keep the refresh ' +
  'cookie, which is SameSite; serve page and API from one site, or set ' +
  "refreshToken.cookie.sameSite to 'none', which some browsers do not keep either"
const plain = 'the refresh cookie is Secure, and this page came by plain http, so the browser ' +
  'does not keep the cookie; use https (in development, localhost)'

const isLocal = (name: string): boolean =>
  /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/.test(name)

/**
 * Creates what warns, once of each kind, that a browser will not keep the cookie of a login. It
 * goes by `Origin`, which is how the browser sees it: the scheme that the server sees is that of a
 * proxy. A doubt is no reason to warn.
 * @see RFC 6265bis §5.7
 */
export function createBrowserHints ({ attributes }: CookieSettings, log: FastifyBaseLogger) {
  const said = new Set<string>()
  const isSameSite = attributes.sameSite !== 'none' && attributes.sameSite !== false

  return function hint ({ headers, host }: FastifyRequest): void {
    const { origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode } = headers
    // The answer to a form is a page of this site: its cookies are kept.
    if (origin === undefined || mode === 'navigate') return
    const found = find(origin, host, site)
    if (found === undefined || said.has(found)) return
    said.add(found)
    log.warn({ origin: origin.slice(0, 100), host: host.slice(0, 100) }, found)
  }

  function find (origin: string, host: string, site: unknown): string | undefined {
    if (!URL.canParse(origin) || !URL.canParse(`http://${host}`)) return undefined
    const page = new URL(origin)
    const api = new URL(`http://${host}`)
    if (site === 'cross-site') {
      // An extension may be another case, and so may a cookie that says nothing.
      if (!/^https?:$/.test(page.protocol) || !isSameSite) return undefined
      const isMixed = isLocal(page.hostname) && isLocal(api.hostname) &&
        page.hostname !== api.hostname
      return isMixed ? sites : foreign
    }
    // Browsers send Sec-Fetch-Site to https and to local hosts only: with it, the way is safe.
    if (site !== undefined || attributes.secure !== true || isLocal(api.hostname)) return undefined
    return page.protocol === 'http:' && page.host === api.host ? plain : undefined
  }
}
