import t, { type Test } from 'tap'
import type { AuthPluginOptions } from '../../../lib/index'
import { build } from '../app'
import { createDevice } from '../proofs'
import { redisFor } from '../servers/redis'
import { DpopApp } from './app'

type Setup = NonNullable<Parameters<typeof build>[1]>
/** What is used of an answer. */
export interface Answer {
  statusCode: number
  headers: object
  json: () => unknown
}

const both: ['cookie', 'body'] = ['cookie', 'body']

/** Builds an application whose logins may be bound by DPoP, and an app that holds a key. */
export async function serve (
  t: Parameters<typeof build>[0], { refreshToken, ...setup }: Setup = {}
) {
  const bindings: AuthPluginOptions['refreshToken'] =
    { bindings: ['dpop'], transports: both, ...refreshToken }
  // A busy machine is no outage.
  const storeTimeout = '20s'
  const built = await build(t, { refreshToken: bindings, storeTimeout, ...setup } as Setup)
  // The clock of Redis cannot be set.
  const now = setup.redis === undefined ? built.clock.now : Date.now
  const holder = (device = createDevice()) => new DpopApp(built.app, now, device)
  return { ...built, now, phone: holder(), holder }
}

export type Served = Awaited<ReturnType<typeof serve>>

/** Runs a test on both stores. */
export function onBoth (
  title: string, run: (t: Test, begin: (setup?: Setup) => Promise<Served>) => Promise<void>
): void {
  t.test(`${title}: MemoryStore`, async (t) => {
    await run(t, async (setup) => await serve(t, setup))
  })
  t.test(`${title}: RedisStore`, async (t) => {
    const redis = (await redisFor(t)).client()
    await run(t, async (setup) => await serve(t, { redis, ...setup }))
  })
}

export const code = (response: Pick<Answer, 'json'>): string =>
  (response.json() as { code: string }).code

const challenge = (error: string, description: string) =>
  `DPoP error="${error}", error_description="${description}", algs="ES256"`

/** The one challenge of each refusal. */
export const challenges = {
  DPOP_PROOF_MISSING: challenge('invalid_dpop_proof', 'A DPoP proof is required'),
  DPOP_PROOF_INVALID: challenge('invalid_dpop_proof', 'The DPoP proof is invalid'),
  DPOP_NONCE_REQUIRED: challenge('use_dpop_nonce',
    'The DPoP proof must carry the nonce of this answer'),
  REFRESH_TOKEN_UNPROVEN: challenge('invalid_dpop_proof',
    'A proof by the key of this session is required'),
  ACCESS_TOKEN_INVALID: challenge('invalid_token', 'The access token is invalid'),
  ACCESS_TOKEN_EXPIRED: challenge('invalid_token', 'The access token expired'),
  SESSION_REVOKED: challenge('invalid_token', 'The session is over')
}

/**
 * Asserts a refusal: its status, its code, its one challenge, its nonce where one is asked for, and
 * that it sets no cookie.
 */
export function refused (
  t: Pick<Test, 'match'>,
  response: Answer,
  status: number,
  expected: keyof typeof challenges,
  message: string = expected
): void {
  t.match({ ...response, code: code(response) }, {
    code: expected,
    statusCode: status,
    headers: {
      'www-authenticate': challenges[expected],
      'dpop-nonce': expected === 'DPOP_NONCE_REQUIRED' ? /^[\w-]{43}$/ : undefined,
      'set-cookie': undefined
    }
  }, message)
}
