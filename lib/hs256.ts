import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Signs texts, and tells whether what follows the last dot of a token is the signature of what stands before it. @see RFC 7518 §3.2 */
export function createMac (secret: Buffer): { sign: (text: string) => string, isSigned: (token: string) => boolean } {
  const key = createSecretKey(secret)
  const mac = (text: string) => createHmac('sha256', key).update(text).digest('base64url')
  return {
    sign: (text) => `${text}.${mac(text)}`,
    isSigned: (token) => {
      const end = token.lastIndexOf('.')
      const given = Buffer.from(token.slice(end + 1))
      const expected = Buffer.from(mac(token.slice(0, Math.max(0, end))))
      return given.length === expected.length && timingSafeEqual(given, expected)
    }
  }
}

/** Signs and verifies tokens that nobody else makes or reads. */
export interface Hs256 {
  readonly kid: string
  sign: (payload: object) => string
  /** What an authentic token says; `undefined` for any other text. */
  verify: (token: string) => unknown
}

/** Makes tokens that all have the very same header, and knows no other. @see RFC 7515 §3.1 */
export function createHs256 (secret: Buffer, typ: string, kid: string): Hs256 {
  const header = `${encode({ alg: 'HS256', typ, kid })}.`
  const { sign, isSigned } = createMac(secret)
  return {
    kid,
    sign: (payload) => sign(header + encode(payload)),
    verify: (token) => token.startsWith(header) && isSigned(token)
      ? JSON.parse(Buffer.from(token.slice(header.length, token.lastIndexOf('.')), 'base64url').toString())
      : undefined
  }
}
