import { verify, type KeyObject } from 'node:crypto'
import { isObject } from '../options/schema'
import type { DeviceAlgorithm } from './jwk'

/** A compact JWS as it was read; its signature is not verified. @see RFC 7515 §7.1 */
export interface Jws {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
  /** The text that the signature is for. */
  readonly signed: string
  readonly signature: Buffer
}

const compact = /^[\w-]+\.[\w-]+\.[\w-]+$/

/**
 * Reads a JWS of at most `longest` characters. Returns `undefined` if it is malformed, if its
 * header or payload is no JSON object, or if it demands an extension (`crit`): none is supported.
 * @see RFC 7515 §4.1.11
 */
export function readJws (text: string, longest: number): Jws | undefined {
  if (text.length > longest || !compact.test(text)) return undefined
  const [first = '', second = '', third = ''] = text.split('.')
  const header = parse(first)
  const payload = parse(second)
  if (header === undefined || payload === undefined) return undefined
  if (Object.hasOwn(header, 'crit')) return undefined
  const signed = text.slice(0, first.length + 1 + second.length)
  return { header, payload, signed, signature: Buffer.from(third, 'base64url') }
}

function parse (part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Returns whether the signature of a JWS is by this key. @see RFC 7518 §3.3, §3.4 */
export function isSignedBy (jws: Jws, key: KeyObject, algorithm: DeviceAlgorithm): boolean {
  const text = Buffer.from(jws.signed)
  return algorithm === 'ES256'
    ? verify('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, jws.signature)
    : verify('sha256', text, key, jws.signature)
}
