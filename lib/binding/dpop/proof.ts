import { createDecoder, type DecodedJwt } from 'fast-jwt'
import { hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { readJwk, thumbprint, type PublicJwk } from '../jwk'
import { createVerify, type Payload, type Verify } from '../verifiers'
import type { Nonces } from './nonces'
import { invalidProof, missingProof, nonceRequired, type ProofStatus } from './refusal'
import type { ProofId } from './replays'
import { isTarget, normalize, targetOf, type Targeted } from './target'

/** What is used of a request. */
export type Proving = Targeted & Pick<FastifyRequest, 'headers' | 'method'>

/** What a proof must show besides its key. */
export interface Demand {
  /** The status of a refusal. Default 400. */
  status?: ProofStatus
  /** Whether only a nonce counts as fresh. Default `false`: an `iat` of these minutes does, too. */
  nonce?: boolean
  /** The access token that the proof must be made for (`ath`). Default: it may be for any. */
  accessToken?: string
}

/**
 * Returns which key the `DPoP` header of a request proves.
 * @throws DPOP_PROOF_MISSING, DPOP_PROOF_INVALID, DPOP_NONCE_REQUIRED
 */
export type ReadProof = (request: Proving, demand?: Demand) => ProofId

const longest = 4096
const window = 5 * 60_000
const decode = createDecoder({ complete: true }) as (text: string) => DecodedJwt

/**
 * Creates the reader of proofs, which remembers none of them. `now` returns the store's time in ms.
 * @see RFC 9449 §4.3
 */
export function createReadProof (nonces: Nonces, now: () => number): ReadProof {
  const verify = createVerify('dpop+jwt')

  return (request, { status = 400, nonce: byNonce = false, accessToken } = {}) => {
    const header: string | string[] | undefined = request.headers.dpop
    if (header === undefined) throw missingProof(status)
    const verified = verifyProof(header, verify)
    if (typeof verified === 'string') throw invalidProof(verified, status)
    const { jwk, payload } = verified
    const fault = findFault(payload, request, accessToken)
    if (fault !== undefined) throw invalidProof(fault, status)
    const time = now()
    const stale = findStaleness(payload, byNonce, nonces, time)
    if (stale !== undefined) throw nonceRequired(stale, status, nonces.current(time))
    return { jkt: thumbprint(jwk), jti: payload.jti as string }
  }
}

/** Verifies the signature of a proof by its own key. Returns what is wrong with it as a text. */
function verifyProof (
  text: string | string[], verify: Verify
): { jwk: PublicJwk, payload: Payload } | string {
  if (typeof text !== 'string' || text.includes(',')) return 'more than one DPoP header'
  if (text.length > longest) return `${text.length} characters; ${longest} are the most`
  try {
    const { header } = decode(text)
    if (Object.hasOwn(header, 'crit')) return 'it has crit; no extension is supported'
    const jwk = readJwk(header.jwk, 'ES256')
    if (jwk === undefined) return 'its jwk is not a public P-256 key'
    return { jwk, payload: verify(text, jwk) }
  } catch (error) {
    return (error as Error).message
  }
}

/** Returns what is wrong with the claims of a proof, except that it is not fresh. */
function findFault (
  { jti, htm, htu, iat, ath, nonce }: Payload, request: Proving, accessToken: string | undefined
): string | undefined {
  if (typeof jti !== 'string' || jti === '') return 'no jti'
  if (nonce === undefined && !Number.isFinite(iat)) return 'neither iat nor nonce'
  if (htm !== request.method) return `for ${JSON.stringify(htm)}, not ${request.method}`
  if (!isTarget(htu)) return 'its htu is not a URL without query and fragment'
  const target = targetOf(request)
  if (normalize(htu) !== target) {
    return `for another target: ${htu} (this request is for ${target}): is trustProxy set?`
  }
  if (accessToken !== undefined && ath !== hash('sha256', accessToken, 'base64url')) {
    return 'its ath is not of the access token'
  }
  return undefined
}

/** Returns why a proof is not fresh: by its nonce or, without one, by its `iat`. */
function findStaleness (
  { nonce, iat }: Payload, byNonce: boolean, nonces: Nonces, now: number
): string | undefined {
  if (nonce !== undefined) {
    const fresh = typeof nonce === 'string' && nonces.isFresh(nonce, now)
    return fresh ? undefined : 'its nonce is stale, or not of this ring'
  }
  if (byNonce) return 'it has no nonce'
  const off = Number(iat) * 1000 - now
  return Math.abs(off) <= window ? undefined : `its iat is ${Math.round(off / 1000)} s off`
}
