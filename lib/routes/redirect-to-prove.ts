import { setTimeout } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import type { Cookie } from '../http/cookies'

/** How long a browser is given to register its key, in ms: a TPM signs within 600. */
const patience = 200

/**
 * Sends a browser that can prove its key back to the same route, with a proof: 307 keeps the
 * method and the body. It did not know yet that its session is bound, or the proof that it had was
 * spent. A spent one is taken away, or the browser would not hold the request back for a new one.
 */
export async function redirectToProve (
  reply: FastifyReply, proofCookie: Cookie, hadProof: boolean
): Promise<FastifyReply> {
  if (!hadProof) await setTimeout(patience)
  proofCookie.clear(reply)
  return await reply.code(307).headers({ location: '?proof', 'cache-control': 'no-store' }).send()
}
