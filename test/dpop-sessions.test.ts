import t from 'tap'
import type { AuthPluginOptions } from '../lib/index'
import { build, peek } from './support/app'
import { DpopApp } from './support/dpop/app'
import { observe } from './support/events'
import { createDevice } from './support/proofs'

type Test = InstanceType<typeof import('tap').Test>
type Setup = Parameters<typeof build>[1] & { refreshToken?: AuthPluginOptions['refreshToken'] }
type Answer = { statusCode: number, headers: object, json: () => unknown }

const both: ['cookie', 'body'] = ['cookie', 'body']

/** An application whose logins may be bound by DPoP, and an app that holds a key. */
async function serve (t: Test, { refreshToken, ...setup }: Setup = {}) {
  const options = { refreshToken: { bindings: ['dpop'], transports: both, ...refreshToken } }
  const built = await build(t, { ...options, ...setup } as Setup)
  const holder = (device = createDevice()) => new DpopApp(built.app, built.clock.now, device)
  return { ...built, phone: holder(), holder }
}

const code = (response: Answer) => (response.json() as { code: string }).code
const challenge = (error: string, description: string) =>
  `DPoP error="${error}", error_description="${description}", algs="ES256"`
const challenges = {
  DPOP_PROOF_MISSING: challenge('invalid_dpop_proof', 'A DPoP proof is required'),
  DPOP_PROOF_INVALID: challenge('invalid_dpop_proof', 'The DPoP proof is invalid'),
  DPOP_NONCE_REQUIRED: challenge('use_dpop_nonce',
    'The DPoP proof must carry the nonce of this answer'),
  REFRESH_TOKEN_UNPROVEN: challenge('invalid_dpop_proof',
    'A proof by the key of this session is required'),
  ACCESS_TOKEN_INVALID: challenge('invalid_token', 'The access token is invalid')
}

/** Asserts a refusal: its status, its code, its one challenge, and that it sets no cookie. */
function refused (
  t: Test,
  response: Answer,
  status: number,
  expected: keyof typeof challenges,
  message: string = expected
) {
  t.equal(code(response), expected, message)
  t.match(response, {
    statusCode: status,
    headers: { 'www-authenticate': challenges[expected], 'set-cookie': undefined }
  }, message)
}

t.test('a login that brings a proof is bound to its key', async (t) => {
  const { app, phone } = await serve(t)
  const events = observe(t)
  const login = await phone.login()
  t.match(login, { statusCode: 200, headers: { 'dpop-nonce': undefined } })
  t.match(peek(phone.refreshToken), { cnf: { jkt: phone.device.jkt } })
  t.match(peek(phone.accessToken), { bound: true, cnf: undefined })
  t.equal(phone.tokenType, 'Bearer')
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 1 }])
  t.equal((await phone.me()).statusCode, 200)
  t.equal((await phone.refresh()).statusCode, 200)
  t.match(peek(phone.refreshToken), { cnf: { jkt: phone.device.jkt }, gen: 2 })
  t.match(peek(phone.accessToken), { bound: true })
  t.match(await app.sessions.list('ada'), [{ bound: 'dpop', generation: 2 }])
  t.strictSame(events().map(([name]) => name), ['login', 'refresh'])
})

t.test('a refresh without a proof by the key changes nothing', async (t) => {
  const { app, phone, holder } = await serve(t)
  await phone.login()
  const events = observe(t)
  const before = await app.sessions.list('ada')
  refused(t, await phone.refresh(null), 400, 'DPOP_PROOF_MISSING')
  refused(t, await phone.refresh('x'), 400, 'DPOP_PROOF_INVALID')
  const thief = holder()
  thief.refreshToken = phone.refreshToken
  refused(t, await thief.refresh(), 401, 'REFRESH_TOKEN_UNPROVEN')
  const { sid } = before[0] ?? {}
  const event = { sid, generation: 1, redirected: false }
  t.strictSame(events(), [['unproven', event], ['unproven', event]])
  t.strictSame(await app.sessions.list('ada'), before)
  t.equal((await phone.refresh()).statusCode, 200)
})
