import type { RouteExtras } from './options/options'
import { deny, describe, describeUrl, isObject, object, value, type Check } from './options/schema'
import type { Key } from './tokens/keys'

/** The options of the plugin's own routes; `undefined`: the route is off. */
export type Routes =
  Record<'refresh' | 'logout' | 'jwks' | 'metadata' | 'device', RouteExtras | undefined>

const isExtras = (given: unknown): given is RouteExtras | boolean =>
  isObject(given) || typeof given === 'boolean'
const isFalseOrExtras = (given: unknown): given is RouteExtras | false =>
  isObject(given) || given === false
const isOptions = isObject as (given: unknown) => given is RouteExtras

// What makes a route one of the plugin's: Fastify ignores these, or fails and names no route.
const own = ['method', 'url', 'path', 'handler']

const route = <T>(read: Check<T>): Check<T> => (given, path) => {
  const options = isObject(given) ? given : {}
  const name = own.find((name) => options[name] !== undefined)
  if (name === undefined) return read(given, path)
  const allowed = 'Fastify route options to merge, without method, url, path and handler'
  return deny(`${path}.${name}`, describe(options[name]), allowed)
}

const onByDefault = 'false or route options; the route is on without'

/** Reads the option `routes`. */
export const readRoutes = object({
  refresh: route(value(isFalseOrExtras, onByDefault, {})),
  logout: route(value(isFalseOrExtras, onByDefault, {})),
  jwks: route(value(isExtras, 'true or route options', undefined)),
  metadata: route(value(isExtras, 'true or route options', false)),
  device: route(value(isOptions, 'route options', undefined))
})

/** What the routes depend on. */
interface Given {
  ring: readonly Key[]
  issuer: string | undefined
  /** Where the routes are, in all. */
  path: string
}

/** Returns the options of each route that is on. @throws INVALID_OPTION */
export function checkRoutes (routes: ReturnType<typeof readRoutes>, given: Given): Routes {
  const { refresh, logout, metadata, device } = routes
  // The document names the keys: whoever asks for it wants them served.
  const { jwks = metadata !== false } = routes
  for (const [name, route] of Object.entries({ jwks: routes.jwks ?? false, metadata })) {
    if (route === false || given.ring.some(({ jwk }) => jwk !== undefined)) continue
    deny(`routes.${name}`, describe(route),
      'a ring with a key pair in it: a shared secret has no public key')
  }
  if (metadata !== false) {
    if (jwks === false) {
      deny('routes.jwks', 'false', 'the route, with routes.metadata: the document names it')
    }
    checkIssuer(given, describe(metadata))
  }
  return {
    refresh: refresh === false ? undefined : refresh,
    logout: logout === false ? undefined : logout,
    jwks: extras(jwks),
    metadata: extras(metadata),
    device
  }
}

const extras = (given: boolean | RouteExtras): RouteExtras | undefined =>
  given === false ? undefined : given === true ? {} : given

// The document is looked for below the issuer. A proxy may have stripped the start of its path.
function checkIssuer ({ issuer, path }: Given, metadata: string): void {
  if (issuer === undefined) {
    deny('routes.metadata', metadata, 'together with accessToken.issuer, below which it is found')
  }
  if (/[:*]/.test(path)) {
    deny('prefix', `${describe(path)}, which has parameters`, 'a fixed path with routes.metadata')
  }
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && !/[?#@]/.test(issuer)
  if (isPlain && url.pathname.replace(/\/$/, '').endsWith(path)) return
  deny('accessToken.issuer', describeUrl(issuer), 'with routes.metadata, the URL of the routes ' +
    `as other services reach it, such as 'https://example.com${path}', without a query or a fragment`)
}

/** Returns a sentence for the log if whoever stands on the way could answer with other keys. */
export function issuerWarnings ({ metadata }: Routes, issuer: string | undefined): string[] {
  if (metadata === undefined || issuer === undefined) return []
  const { protocol, hostname } = new URL(issuer)
  if (protocol === 'https:' || isLoopback.test(hostname)) return []
  return [`accessToken.issuer is ${describe(issuer)}: without https, other services can be given ` +
    'keys of an attacker on the way']
}

const isLoopback = /^(?:(?:.*\.)?localhost|127(?:\.\d+){3}|\[::1\])$/
