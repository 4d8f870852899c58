import { findDeviceKey, type DeviceKey } from './device-key.mjs'
import { readOwner } from './news.mjs'

export type { DeviceKey } from './device-key.mjs'

/** What `dpopFetch` may be told. */
export interface DpopOptions {
  /** Where the plugin's routes are, as for `createClient`. Default `/auth`. */
  prefix?: string | undefined
  /** A key from a key store of the application's. Default: one per origin and browser profile. */
  key?: DeviceKey | undefined
  /** Is used instead of the global `fetch`. */
  fetch?: typeof fetch | undefined
}

/**
 * Creates a `fetch` for `createClient` that proves the key of this device: at login, at refresh
 * and, if access tokens are bound, with every request.
 * @see RFC 9449
 */
export function dpopFetch (options: DpopOptions = {}): typeof fetch {
  const { prefix = '/auth', key, fetch: send = fetch } = options
  const page = (globalThis as { location?: { href: string } }).location?.href
  const api = new URL(prefix, page).href.replace(/\/?$/, '/')
  const origin = api.split('/', 3).join('/') + '/'
  let device: Promise<DeviceKey> | undefined
  let nonce: string | undefined // The last one that the server gave.

  async function prove (request: Request, token?: string) {
    const signer = await (key ?? (device ??= findDeviceKey().catch((error) => {
      device = undefined // Next time it may be found.
      throw error
    })))
    const text = `${toText({ typ: 'dpop+jwt', alg: 'ES256', jwk: signer.jwk })}.${toText({
      jti: `${Math.random()}${Math.random()}`, // Unique; who guesses it gains nothing.
      htm: request.method,
      htu: request.url.replace(/[?#].*/, ''),
      iat: Math.floor(Date.now() / 1000),
      nonce,
      ath: token && toBase64(await crypto.subtle.digest('SHA-256', toBytes(token)))
    })}`
    request.headers.set('dpop', `${text}.${toBase64(await signer.sign(toBytes(text)))}`)
    const response = await send(request)
    nonce = response.headers.get('dpop-nonce') ?? nonce
    return response
  }

  return async (input, init) => {
    const request = new Request(input, init)
    const { url, headers } = request
    const token = headers.get('authorization')?.match(/^Bearer (.+)/)?.[1]
    const bound = token && isBound(token) ? token : undefined
    if (!url.startsWith(token && !bound ? api : origin)) return send(request)
    if (bound) headers.set('authorization', `DPoP ${bound}`)
    const again = request.clone()
    const response = await prove(request, bound)
    if (!response.headers.get('www-authenticate')?.includes('use_dpop_nonce')) return response
    response.body?.cancel()
    return prove(again, bound)
  }
}

function isBound (token: string) {
  try {
    return 'cnf' in readOwner(token)
  } catch {
    return false // The application's own kind.
  }
}

const toBytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

const toText = (part: object) => toBase64(toBytes(JSON.stringify(part)))

const toBase64 = (bytes: ArrayBuffer | Uint8Array) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')
