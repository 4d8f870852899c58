import type { Outcome, Presentation, Rotation } from '../store'
import { streakOf, toRecord, toThumbprint, type Reply } from './scripts/record'
import type { Argument } from './send'

/** Returns the two thumbprints of a token as scripts read them, or '' if it has neither. */
export function toProofs ({ boundTo = '', proof = '' }: Presentation): Buffer | '' {
  if (boundTo === '' && proof === '') return ''
  return Buffer.concat([boundTo, proof].flatMap((text) => {
    const bytes = text === '' ? Buffer.alloc(0) : toThumbprint(text)
    return [Buffer.of(bytes.length), bytes]
  }))
}

/** Returns whether two rotations can go in one command: what they have in common is sent once. */
export const canShare = (a: Rotation, b: Rotation): boolean =>
  a.signer === b.signer && a.spentOn === b.spentOn &&
  a.idleLifetime === b.idleLifetime && a.gracePeriod === b.gracePeriod

/** Returns the arguments of the script `rotate` for rotations that can go in one command. */
export function toArguments (rotations: [Rotation, ...Rotation[]]): Argument[] {
  const [{ signer, idleLifetime, gracePeriod, spentOn }] = rotations
  const proofs = rotations.map(toProofs)
  // A column costs each rotation an argument: it is there only if one of them needs it.
  const withContent = rotations.some(({ content }) => content !== undefined)
  const withProofs = proofs.some((each) => each !== '')
  const digit = (spentOn === 'use' ? 1 : 0) + (withContent ? 2 : 0) + (withProofs ? 4 : 0)
  const args: Argument[] = [digit === 0 ? signer : `${signer}${digit}`, idleLifetime, gracePeriod]
  for (const [i, { sid, generation, handedOutAt, content }] of rotations.entries()) {
    args.push(sid, generation, handedOutAt)
    if (withContent) args.push(content === undefined ? '' : `=${content}`)
    if (withProofs) args.push(proofs[i] as Buffer | '')
  }
  return args
}

/** Reads what a presentation came to. */
export function toOutcome ({ sid, spentOn }: Presentation, reply: Reply): Outcome {
  const { outcome, packed, now, distance, msSinceRotation } = reply
  if (outcome === 'unknown') return { outcome }
  const session = toRecord(sid, packed)
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
