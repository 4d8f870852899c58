import type { Credential } from './proof-cookie'

/** What a browser is told about a bound session. @see https://w3c.github.io/webappsec-dbsc/ */
export interface Instructions {
  session_identifier: string
  refresh_url: string
  scope: { include_site: false, scope_specification: { type: string, path: string }[] }
  credentials: Credential[]
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
  { device, refresh }: Routes, credential: Credential, initiators: readonly string[]
): (identifier: string) => Instructions {
  const constant = {
    refresh_url: device,
    scope: {
      include_site: false as const,
      // The last one that matches decides.
      scope_specification: [{ type: 'exclude', path: '/' }, { type: 'include', path: refresh }]
    },
    credentials: [credential],
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
