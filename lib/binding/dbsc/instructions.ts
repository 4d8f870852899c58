import type { CookieSettings } from '../../http/cookie-settings'
import type { Codec } from '../../http/cookies'

/** What a browser is told about a bound session. @see https://w3c.github.io/webappsec-dbsc/ */
export interface Instructions {
  session_identifier: string
  refresh_url: string
  scope: { include_site: false, scope_specification: { type: string, path: string }[] }
  credentials: { type: 'cookie', name: string, attributes: string }[]
  allowed_refresh_initiators?: string[]
}

export interface Routes {
  /** The absolute path of the route that browsers prove themselves to. */
  readonly device: string
  /** The absolute path of the route that wants the proof. */
  readonly refresh: string
}

/**
 * Creates what tells a browser to hold back each refresh until it has the proof cookie. Nothing
 * else is in scope. `initiators` are the foreign hosts whose pages refresh.
 */
export function createInstructions (
  { device, refresh }: Routes, proof: CookieSettings, initiators: readonly string[], codec: Codec
): (identifier: string) => Instructions {
  // Attributes that do not name a cookie, or a Max-Age, make browsers refuse the session silently.
  const { path, httpOnly, secure, sameSite } = proof.attributes
  const { name } = proof
  const cookie = codec.serializeCookie(name, '', { path, httpOnly, secure, sameSite })
  const [, ...attributes] = cookie.split('; ')
  const constant = {
    refresh_url: device,
    scope: {
      include_site: false as const,
      // The last one that matches decides.
      scope_specification: [{ type: 'exclude', path: '/' }, { type: 'include', path: refresh }]
    },
    credentials: [{ type: 'cookie' as const, name, attributes: attributes.join('; ') }],
    ...(initiators.length > 0 ? { allowed_refresh_initiators: [...initiators] } : {})
  }
  return (identifier) => ({ session_identifier: identifier, ...constant })
}

/** Returns what makes a browser forget a bound session. */
export const toEnd = (identifier: string) =>
  ({ session_identifier: identifier, continue: false as const })

/** Returns the hosts of the origins that browsers can be told of: those of pages with TLS. */
export function initiatorsOf (origins: Iterable<string | RegExp>): string[] {
  const hosts = [...origins].flatMap((origin) =>
    typeof origin === 'string' && origin.startsWith('https://') ? [new URL(origin).hostname] : [])
  return [...new Set(hosts)]
}
