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
 * @throws Error where there is no page and `prefix` is no whole URL
 * @see RFC 9449
 */
export function dpopFetch (
  { prefix = '/auth', key, fetch: send = fetch }: DpopOptions = {}
): typeof fetch {
  const page = (globalThis as { location?: { href: string } }).location?.href
  if (!/^http/.test(prefix) && !/^http/.test(page as string)) {
    throw new Error('prefix is no whole URL')
  }
  const api = new URL(prefix, page).href.replace(/\/?$/, '/')
  const origin = api.split('/', 3).join('/') + '/'
  let device: Promise<DeviceKey> | undefined
  let nonce: string | undefined // The last one that the server gave.

  return async (input, init) => {
    const request = new Request(input, init)
    const { url, headers } = request
    const token = /^Bearer (.+)/.exec(headers.get('authorization') as string)?.[1]
    // `null` is JSON as well.
    const bound = readOwner(token as string)?.cnf && token
    if (!url.startsWith(token && !bound ? api : origin)) return send(request)
    if (bound) headers.set('authorization', 'DPoP ' + bound)

    const prove = async () => {
      const signer = await (key ?? (device ??= findDeviceKey().catch((error) => {
        device = undefined // Next time it may be found.
        throw error
      })))
      const text = [{ typ: 'dpop+jwt', alg: 'ES256', jwk: { ...signer.jwk, d: undefined } }, {
        jti: '' + Math.random() + Math.random(), // Unique; who guesses it gains nothing.
        htm: request.method,
        htu: url.replace(/[?#].*/, ''),
        iat: Math.floor(Date.now() / 1000),
        nonce,
        ath: bound && toBase64(await crypto.subtle.digest('SHA-256', toBytes(bound)))
      }].map(toText).join('.')
      headers.set('dpop', text + '.' + toBase64(await signer.sign(toBytes(text))))
      const response = await send(request.clone())
      nonce = response.headers.get('dpop-nonce') ?? nonce
      return response
    }
    const response = await prove()
    if (!/use_dpop_nonce/.test(response.headers.get('www-authenticate') as string)) return response
    response.body?.cancel()
    return prove()
  }
}

const toBytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

const toText = (part: object) => toBase64(toBytes(JSON.stringify(part)))

const toBase64 = (bytes: ArrayBuffer | Uint8Array) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '')
