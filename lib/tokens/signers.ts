import fastifyCookie = require('@fastify/cookie')
import fastifyJwt = require('@fastify/jwt')
import type { FastifyInstance } from 'fastify'
import { createHs256, encode, type Hs256 } from './hs256'
import type { Key } from './keys'
import type { Settings } from '../settings'

export type Payload = Record<string, unknown>

/** Signs and verifies access tokens with one key; what it verifies has a signature and a type, its times are not judged. */
export interface Signer {
  readonly kid: string
  /** What its own tokens have before their first dot. */
  readonly header: string
  sign: (payload: Payload) => string
  /** @throws, or answers `undefined`, where the token is not this key's, of another type, or lacks a claim */
  verify: (token: string) => Payload | undefined
}

/** One for each key of the ring, the newest first. */
export type Signers<T = Signer> = [T, ...T[]]

/** The type of an access token. @see RFC 9068 §2.1 */
const typ = 'at+jwt'

/** Prepares @fastify/jwt for access tokens (with a shared secret it verifies them only), one namespace for each key, in a scope of its own where it meets no other instance of it. */
export async function prepareJwt (fastify: FastifyInstance, { ring, accessToken: { issuer, audience } }: Settings): Promise<{ access: Signers, refresh: Signers<Hs256> }> {
  const access: Signer[] = []
  const refresh: Hs256[] = []
  const claims = { ...(issuer === undefined ? {} : { iss: issuer }), ...(audience === undefined ? {} : { aud: audience }) }
  await fastify.register(async (scope) => {
    const namespaces: Record<string, fastifyJwt.JWT> = Object.create(null)
    scope.decorate('jwt', namespaces as unknown as fastifyJwt.JWT)
    for (const { kid, algorithm, access: secret, refresh: derived } of ring) {
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
      access.push({ kid, header: encode({ alg: algorithm, typ, kid }), ...toSigner(kid, namespaces[kid] as fastifyJwt.JWT, secret, claims) })
      if (derived !== undefined) refresh.push(createHs256(derived, 'rt+jwt', kid))
    }
  })
  await loadCookies()
  return { access: access as Signers, refresh: refresh as Signers<Hs256> }
}

function toSigner (kid: string, jwt: fastifyJwt.JWT, secret: Key['access'], claims: Payload): Pick<Signer, 'sign' | 'verify'> {
  if (!Buffer.isBuffer(secret)) {
    return { sign: (payload) => jwt.sign(payload as fastifyJwt.SignPayloadType), verify: (token) => jwt.verify<Payload>(token) }
  }
  // The same token for less than half the time; and forgeries are turned away by a digest, which costs a tenth of what the
  // verifier's exceptions cost.
  const { sign, isSigned } = createHs256(secret, typ, kid)
  return { sign: (payload) => sign({ ...payload, ...claims }), verify: (token) => isSigned(token) ? jwt.verify<Payload>(token) : undefined }
}

// Its functions to read and write cookies work once it has been registered, which a second time would clash with the
// application's own registration; that one may be of another copy of it, so it does not do for ours.
async function loadCookies (): Promise<void> {
  const nowhere = { decorate () {}, decorateRequest () {}, decorateReply () {}, addHook () {} }
  await (fastifyCookie as unknown as (instance: object, options: object) => Promise<void>)(nowhere, { hook: false })
}

/** The signer that a token's header names, if it is on the ring; the token may still be anything. */
export function signerOf (signers: Signers, token: string): Signer | undefined {
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
