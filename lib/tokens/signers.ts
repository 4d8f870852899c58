import fastifyJwt = require('@fastify/jwt')
import type { FastifyInstance } from 'fastify'
import { createHs256, encode, type Hs256 } from './hs256'
import type { Key } from './keys'
import { createSeal, type Seal } from './seal'

export type Payload = Record<string, unknown>

/**
 * Signs and verifies access tokens with one key. What it verifies has a signature and a type; its
 * times are not judged.
 */
export interface Signer {
  readonly kid: string
  /** What its own tokens have before their first dot. */
  readonly header: string
  sign: (payload: Payload) => string
  /**
   * Returns the claims, or `undefined`.
   * @throws if the token is not this key's, of another type, or lacks a claim
   */
  verify: (token: string) => Payload | undefined
}

/** What signs refresh tokens with one key of the ring. */
export interface RefreshKey {
  readonly kid: string
  readonly hs256: Hs256
  readonly seal: Seal
}

/** One or more, the newest first. */
export type Ring<T> = readonly [T, ...T[]]

/** The claims that are set when signing, and demanded when verifying. */
export interface FixedClaims {
  issuer: string | undefined
  audience: string | string[] | undefined
}

/** The type of an access token. @see RFC 9068 §2.1 */
const typ = 'at+jwt'

/**
 * Prepares @fastify/jwt for access tokens, one namespace for each key. Call it in a scope of the
 * plugin's own, where it meets no other instance of @fastify/jwt. With a shared secret it only
 * verifies them.
 */
export async function prepareSigners (
  scope: FastifyInstance,
  ring: Ring<Key>,
  fixed: FixedClaims
): Promise<Ring<Signer>> {
  const { issuer, audience } = fixed
  const claims = {
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience === undefined ? {} : { aud: audience })
  }
  const signers: Signer[] = []
  const namespaces: Record<string, fastifyJwt.JWT> = Object.create(null)
  scope.decorate('jwt', namespaces as unknown as fastifyJwt.JWT)
  for (const { kid, algorithm, access: secret } of ring) {
    await scope.register(fastifyJwt, {
      namespace: kid,
      secret,
      sign: { algorithm, kid, header: { typ }, ...claims },
      verify: {
        algorithms: [algorithm],
        checkTyp: typ,
        ignoreExpiration: true,
        requiredClaims: ['sub', 'sid', 'iat', 'exp', 'auth_time', ...Object.keys(claims)],
        ...(issuer === undefined ? {} : { allowedIss: issuer }),
        ...(audience === undefined ? {} : { allowedAud: audience })
      }
    } as unknown as fastifyJwt.FastifyJWTOptions)
    const header = encode({ alg: algorithm, typ, kid })
    const signer = toSigner(kid, namespaces[kid] as fastifyJwt.JWT, secret, claims)
    signers.push({ kid, header, ...signer })
  }
  return signers as [Signer, ...Signer[]]
}

/** Prepares what signs refresh tokens: with every key of the ring that can sign. */
export function prepareRefreshKeys (ring: Ring<Key>): Ring<RefreshKey> {
  const keys = ring.flatMap(({ kid, derived }) => {
    if (derived === undefined) return []
    const hs256 = createHs256(derived.refreshToken, 'rt+jwt', kid)
    return { kid, hs256, seal: createSeal(derived.userTag) }
  })
  return keys as [RefreshKey, ...RefreshKey[]]
}

function toSigner (
  kid: string, jwt: fastifyJwt.JWT, secret: Key['access'], claims: Payload
): Pick<Signer, 'sign' | 'verify'> {
  if (!Buffer.isBuffer(secret)) {
    return {
      sign: (payload) => jwt.sign(payload as fastifyJwt.SignPayloadType),
      verify: (token) => jwt.verify<Payload>(token)
    }
  }
  // The same token in less than half the time; and a digest rejects forgeries for a tenth of what
  // the verifier's exceptions cost.
  const { sign, isSigned } = createHs256(secret, typ, kid)
  return {
    sign: (payload) => sign({ ...payload, ...claims }),
    verify: (token) => isSigned(token) ? jwt.verify<Payload>(token) : undefined
  }
}

/**
 * Returns the signer that a token's header names, if it is on the ring; the token may still be
 * anything.
 */
export function signerOf (signers: Ring<Signer>, token: string): Signer | undefined {
  const header = token.slice(0, token.indexOf('.'))
  const own = signers.find((signer) => signer.header === header)
  if (own !== undefined) return own
  try {
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid?: unknown }
    return signers.find((signer) => signer.kid === kid)
  } catch {
    return undefined
  }
}
