import { createCipheriv } from 'node:crypto'

/** Hides the tag of a user in a refresh token from everybody but this ring of keys. */
export interface Seal {
  /**
   * Seals a tag of at most 16 bytes, or opens a sealed one; both are base64url. So is the session's
   * key, of 16 bytes.
   */
  apply: (tag: string, sessionKey: string) => string
}

const size = 16

/**
 * Creates a seal under a key of 32 bytes: one block of AES in counter mode, whose counter is the
 * random key of the session. So two sessions of one user have nothing in common, and who can guess
 * every `sub` learns nothing from a token. The token's signature protects it. The cipher is kept,
 * since creating one takes ten times as long as a block (3 µs).
 * @see NIST SP 800-38A §6.5
 */
export function createSeal (secret: Buffer): Seal {
  const block = createCipheriv('aes-256-ecb', secret, null).setAutoPadding(false)
  return {
    apply: (tag, sessionKey) => {
      const counter = Buffer.alloc(size)
      counter.write(sessionKey, 'base64url')
      const mask = block.update(counter)
      const given = Buffer.from(tag, 'base64url')
      for (let i = 0; i < given.length; i++) given[i] = (given[i] as number) ^ (mask[i] as number)
      return given.toString('base64url')
    }
  }
}
