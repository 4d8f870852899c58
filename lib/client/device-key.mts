import type { webcrypto } from 'node:crypto'

/** A key that signs proofs; its private half stays where it is. */
export interface DeviceKey {
  /** The public key, on P-256. @see RFC 7517 */
  jwk: object
  /** Signs by ES256: gives the 64 bytes of `r` and `s`, not DER. @see RFC 7518 §3.4 */
  sign (data: Uint8Array): ArrayBuffer | Uint8Array | Promise<ArrayBuffer | Uint8Array>
}

type Pair = webcrypto.CryptoKeyPair

// What is used of IndexedDB, since the types of a page are not here.
interface Pending<T> { result: T, error: unknown, onsuccess: unknown, onerror: unknown }
interface Store {
  get (name: string): Pending<Pair>
  add (pair: Pair, name: string): Pending<unknown>
}
interface Database {
  createObjectStore (name: string): void
  transaction (name: string, mode: string): { objectStore (name: string): Store }
  close (): void
}
declare const indexedDB: { open (name: string): Pending<Database> & { onupgradeneeded: unknown } }

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/**
 * Finds the key of this origin in this browser profile, or creates it. It is kept in IndexedDB,
 * and not even a script of the page can export it.
 */
export async function findDeviceKey (): Promise<DeviceKey> {
  const subtle = crypto.subtle
  const opening = indexedDB.open('fastify-jwt-sessions')
  opening.onupgradeneeded = () => opening.result.createObjectStore('keys')
  const database = await settled(opening)
  const keys = () => database.transaction('keys', 'readwrite').objectStore('keys')
  const find = () => settled(keys().get('dpop'))

  if (!await find()) {
    const pair = await subtle.generateKey(algorithm, false, ['sign'])
    await settled(keys().add(pair, 'dpop')).catch(() => {}) // Another tab was faster.
  }
  const { privateKey, publicKey } = await find()
  database.close()
  const jwk = await subtle.exportKey('jwk', publicKey)
  return { jwk, sign: (data) => subtle.sign(algorithm, privateKey, data) }
}

function settled<T> (request: Pending<T>) {
  return new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
