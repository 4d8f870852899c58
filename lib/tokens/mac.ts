import { hash } from 'node:crypto'

const block = 64
const digest = 32
const room = 4096

/**
 * Makes a function that answers the HMAC-SHA-256 of a text, in base64url. By two hashes: the object that `createHmac` makes for
 * each text is dearer than the digest, and more so as garbage. @see RFC 2104 §2
 */
export function createMac (secret: Buffer): (text: string) => string {
  const key = Buffer.concat([secret.length > block ? hash('sha256', secret, 'buffer') : secret], block)
  const inner = Buffer.concat([key.map((byte) => byte ^ 0x36)], block + room)
  const outer = Buffer.concat([key.map((byte) => byte ^ 0x5c)], block + digest)

  return (text) => {
    // A character takes three bytes at most.
    const fits = text.length * 3 <= room
    const message = fits ? inner.subarray(0, block + inner.write(text, block)) : Buffer.concat([inner.subarray(0, block), Buffer.from(text)])
    outer.write(hash('sha256', message, 'binary'), block, 'binary')
    return hash('sha256', outer, 'base64url')
  }
}
