import type { Outcome, Presentation, Rotation } from '../store'
import { streakOf, toRecord, type Reply } from './scripts/record'
import type { Argument } from './send'

/**
 * Returns the 12 bytes of a thumbprint. @throws TypeError if it is not 16 characters of base64url
 */
export function toThumbprint (text: string): Buffer {
  if (!/^[\w-]{16}$/.test(text)) throw new TypeError('a thumbprint is 16 characters of base64url')
  return Buffer.from(text, 'base64url')
}

/** Returns the two thumbprints of a token as scripts read them, or '' if it has neither. */
export function toProofs ({ boundTo = '', proof = '' }: Presentation): Buffer | '' {
  if (boundTo === '' && proof === '') return ''
  return Buffer.concat([boundTo, proof].flatMap((text) => {
    const bytes = text === '' ? Buffer.alloc(0) : toThumbprint(text)
    return [Buffer.of(bytes.length), bytes]
  }))
}

/** Returns the arguments of the script `rotate`: three that others can share, and its own. */
export function toArguments (rotation: Rotation): Argument[] {
  const { signer, idleLifetime, gracePeriod, spentOn, content } = rotation
  const proofs = toProofs(rotation)
  const digit =
    (spentOn === 'use' ? 1 : 0) + (content === undefined ? 0 : 2) + (proofs === '' ? 0 : 4)
  const args: Argument[] = [digit === 0 ? signer : `${signer}${digit}`, idleLifetime, gracePeriod]
  args.push(rotation.sid, rotation.generation, rotation.handedOutAt)
  if (content !== undefined) args.push(content.from, content.to)
  if (proofs !== '') args.push(proofs)
  return args
}

/** Reads what a presentation came to. */
export function toOutcome ({ sid, spentOn }: Presentation, reply: Reply): Outcome {
  const { outcome, packed, now, distance, msSinceRotation } = reply
  if (outcome === 'unknown') return { outcome }
  const session = toRecord(sid, packed)
  if (outcome === 'changed') return { outcome, session }
  const streak = outcome === 'repeated' ? streakOf(packed) : 0
  if (outcome === 'reused' || outcome === 'unproven') {
    return { outcome, session, distance, msSinceRotation, streak }
  }
  const { generation, createdAt, refreshedAt } = session
  const isOffer = outcome === 'offered' || (outcome === 'rotated' && spentOn === 'use')
  const next = isOffer
    ? { generation: generation + 1, at: now - createdAt }
    : { generation, at: refreshedAt - createdAt }
  const came = outcome as 'rotated' | 'offered' | 'repeated'
  return { outcome: came, session, distance, msSinceRotation, streak, next }
}
