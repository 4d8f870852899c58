import fastifyCookie = require('@fastify/cookie')
import fastifyJwt = require('@fastify/jwt')
import type { FastifyInstance } from 'fastify'
import type { Key } from './keys'
import type { Settings } from './options'

export type Payload = Record<string, unknown>

/** Signs and verifies one kind of token with one key; what it verifies has a signature and a type, its times are not judged. */
export interface Signer {
  readonly kid: string
  sign: (payload: Payload) => string
  /** @throws where the token is not this key's, of another type, or lacks a claim */
  verify: (token: string) => Payload
}

/** One kind of token: its newest signer first. */
export type Signers = [Signer, ...Signer[]]

/** Prepares @fastify/jwt, one namespace for each key and kind, in a scope of its own where it meets no other instance of it. */
export async function prepareJwt (fastify: FastifyInstance, { ring, accessToken: { issuer, audience } }: Settings): Promise<{ access: Signers, refresh: Signers }> {
  const access: Signer[] = []
  const refresh: Signer[] = []
  const demanded = { ...(issuer === undefined ? {} : { iss: issuer }), ...(audience === undefined ? {} : { aud: audience }) }
  await fastify.register(async (scope) => {
    const namespaces: Record<string, fastifyJwt.JWT> = Object.create(null)
    scope.decorate('jwt', namespaces as unknown as fastifyJwt.JWT)
    const add = async (to: Signer[], { kid, algorithm }: Pick<Key, 'kid' | 'algorithm'>, secret: fastifyJwt.Secret, typ: string, claims: Payload, required: string[]) => {
      const namespace = `${typ}${kid}`
      await scope.register(fastifyJwt, {
        namespace,
        secret,
        // Only an access token tells when it was made: a refresh token is the same whenever it is made again.
        sign: { algorithm, kid, header: { typ }, noTimestamp: to === refresh, ...claims },
        verify: {
          algorithms: [algorithm],
          checkTyp: typ,
          ignoreExpiration: true,
          requiredClaims: [...required, ...Object.keys(claims)],
          ...('iss' in claims ? { allowedIss: claims.iss } : {}),
          ...('aud' in claims ? { allowedAud: claims.aud } : {})
        }
      } as unknown as fastifyJwt.FastifyJWTOptions)
      const jwt = namespaces[namespace] as fastifyJwt.JWT
      to.push({ kid, sign: (payload) => jwt.sign(payload as fastifyJwt.SignPayloadType), verify: (token) => jwt.verify(token) })
    }
    for (const key of ring) {
      await add(access, key, key.access as fastifyJwt.Secret, 'at+jwt', demanded, ['sub', 'sid', 'iat', 'exp', 'auth_time'])
      if (key.refresh !== undefined) await add(refresh, { kid: key.kid, algorithm: 'HS256' }, key.refresh, 'rt+jwt', {}, ['key', 'tag', 'gen', 'via', 'exp'])
    }
  })
  await loadCookies()
  return { access: access as Signers, refresh: refresh as Signers }
}

// Its functions to read and write cookies work once it has been registered, which a second time would clash with the
// application's own registration; that one may be of another copy of it, so it does not do for ours.
async function loadCookies (): Promise<void> {
  const nowhere = { decorate () {}, decorateRequest () {}, decorateReply () {}, addHook () {} }
  await (fastifyCookie as unknown as (instance: object, options: object) => Promise<void>)(nowhere, { hook: false })
}

/** The signer that a token's header names, if it is on the ring; the token may still be anything. */
export function signerOf (signers: Signers, token: string): Signer | undefined {
  try {
    const { kid } = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString()) as { kid?: unknown }
    return signers.find((signer) => signer.kid === kid)
  } catch {
    return undefined
  }
}
