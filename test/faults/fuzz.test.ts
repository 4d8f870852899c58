import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { redisFor } from '../support/servers/redis'
import { appFor } from './app'
import { soak } from './soak'
import { into, User } from './user'

interface Try {
  method: string
  path: string
  headers: Record<string, string>
  body: string | undefined
}

const cookieName = '__Host-refresh_token'
// Requests that once did what they must not, and shapes that once were thought of; each is tried
// first.
const corpus = JSON.parse(readFileSync(join(__dirname, 'corpus.json'), 'utf8')) as Try[]

t.test('whatever is sent: no 5xx, no change of state, nothing let in', { timeout: 120_000 * soak }, async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  const app = await appFor(t, {
    redis: server.client(),
    refreshToken: { transports: ['cookie', 'body'] },
    revocation: 'push'
  })
  const user = new User('ada', into(app))
  await user.login()
  const { token, access } = user

  const paths = [
    '/auth/refresh',
    '/auth/logout',
    '/me',
    '/live',
    '/auth',
    '/auth/',
    '/auth/refresh/',
    '/auth//refresh',
    '/auth/jwks.json',
    '/auth/refresh?all=true',
    '/auth/%72efresh',
    '/AUTH/refresh'
  ]
  const types = [
    'application/json',
    'application/json; charset=utf-8',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/cbor',
    'nonsense',
    '',
    'application/vnd.api+json'
  ]
  const printable = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 40
  })
  const part = fc.oneof(
    printable,
    fc.constantFrom(...token.split('.'), ...access.split('.')),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc
      .record({
        alg: fc.constantFrom('none', 'HS256', 'HS512', 'RS256', 'EdDSA', 'hs256', null, 1),
        typ: fc.constantFrom('rt+jwt', 'at+jwt', 'JWT', ''),
        kid: fc.oneof(printable, fc.constantFrom('__proto__', 'constructor', null, 1, []))
      })
      .map((header) => Buffer.from(JSON.stringify(header)).toString('base64url'))
  )
  // One character of a real token is another one: the one before the last of a part, so that it is
  // no mere other spelling of the same bytes.
  const mutated = fc
    .tuple(fc.constantFrom(token, access), fc.nat(), printable)
    .map(([text, at, by]) => {
      const i = at % (text.length - 2)
      return text.slice(0, i) + (by[0] ?? '~') + text.slice(i + 1)
    })
    .filter((text) => !sameBytes(text, token) && !sameBytes(text, access))
  const forged = fc
    .oneof(
      printable,
      mutated,
      fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.')),
      fc.constantFrom(
        '',
        '.',
        '..',
        '...',
        'a'.repeat(4097),
        'a'.repeat(10_000),
        `${token}.`,
        `.${token}`,
        `${token} ${token}`,
        '[object Object]',
        '%00',
        '%E0%A4%A'
      )
    )
    .filter((text) => !sameBytes(text, token) && !sameBytes(text, access))
  const cookie = fc.oneof(
    forged.map((text) => `${cookieName}=${text}`),
    fc
      .array(forged, { maxLength: 20 })
      .map((texts) => texts.map((text) => `${cookieName}=${text}`).join('; ')),
    forged.map((text) => `${cookieName}="${text}"`),
    forged.map((text) => `refresh_token=${text}`),
    printable,
    fc.constantFrom(
      `${cookieName}`,
      `${cookieName}=`,
      ';;;',
      '=;=',
      `${cookieName}==`,
      '__proto__=x'
    )
  )
  const bearer = fc.oneof(
    forged.map((text) => `Bearer ${text}`),
    forged.map((text) => `bearer  ${text}`),
    forged,
    fc.constantFrom(
      'Bearer',
      'Bearer ',
      'Basic YTpi',
      `Bearer ${token}`,
      `Bearer ${access} ${access}`,
      `Bearer ${access},`
    )
  )
  const json = fc.oneof(
    fc.json(),
    fc
      .record(
        { refresh_token: fc.oneof(forged, fc.anything()), all: fc.anything() },
        { requiredKeys: [] }
      )
      .map((body) => JSON.stringify(body)),
    printable,
    fc.constantFrom(
      '',
      '{',
      'null',
      '[]',
      '"x"',
      '{"__proto__":{"all":true}}',
      '{"constructor":{"prototype":{}}}',
      '{"refresh_token":{}}',
      '{"all":"true"}',
      '[{"all":true}]',
      '\u0000',
      '{"refresh_token":""}',
      `{"refresh_token":"${access}"}`
    )
  )
  const headers = fc.record(
    {
      cookie,
      authorization: bearer,
      'content-type': fc.oneof(fc.constantFrom(...types), printable),
      origin: fc.oneof(
        printable,
        fc.constantFrom('null', 'http://localhost', 'https://evil.example', '://')
      ),
      'sec-fetch-site': fc.constantFrom('cross-site', 'same-site', 'same-origin', 'none', 'x'),
      host: fc.constantFrom('localhost', 'x:y', ' ', '[::1', 'a,b'),
      'x-forwarded-host': printable,
      accept: printable,
      'content-encoding': fc.constantFrom('gzip', 'identity')
    },
    { requiredKeys: [] }
  )
  const tries: fc.Arbitrary<Try> = fc.record({
    method: fc.constantFrom(
      'POST',
      'POST',
      'POST',
      'GET',
      'HEAD',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS'
    ),
    path: fc.oneof(
      { arbitrary: fc.constantFrom(...paths.slice(0, 4)), weight: 4 },
      { arbitrary: fc.constantFrom(...paths), weight: 1 }
    ),
    headers,
    body: fc.option(json, { nil: undefined })
  })

  const state = async () => {
    const keys = (await admin.keys('*')).sort()
    return JSON.stringify(
      await Promise.all(
        keys.map(async (key) => [key, await admin.hgetall(key), await admin.pexpiretime(key)])
      )
    )
  }
  const before = await state()

  const attempt = async ({ method, path, headers, body }: Try): Promise<void> => {
    const response = await app.inject({
      method: method as 'POST',
      url: path,
      headers,
      payload: body
    })
    const { statusCode } = response
    if (statusCode >= 500) throw new Error(`${statusCode} ${response.body}`)
    // RFC 7009 has 200 for a token that is unknown, with nothing in its body.
    const revoked = path === '/auth/logout' && response.body === '{}'
    if (statusCode === 200 && !revoked) throw new Error(`let in: ${response.body}`)
    if (statusCode !== 204 && !revoked && response.headers['set-cookie'] !== undefined) {
      throw new Error(`a cookie beside ${statusCode}`)
    }
    if (await state() !== before) throw new Error(`state has changed: ${await state()}`)
  }

  for (const past of corpus) {
    await t.resolves(
      attempt(past),
      `${past.method} ${past.path} ${JSON.stringify(past.headers).slice(0, 80)}`
    )
  }
  const seed =
    process.env['FAULTS_SEED'] === undefined ? {} : { seed: Number(process.env['FAULTS_SEED']) }
  const details = await fc.check(fc.asyncProperty(tries, attempt), {
    numRuns: 3000 * soak,
    interruptAfterTimeLimit: 60_000 * soak,
    ...seed
  })
  t.notOk(
    details.failed,
    details.failed
      ? `seed ${details.seed}: ${JSON.stringify(details.counterexample)} ${String(details.errorInstance)}`
      : 'every try is refused'
  )
  t.comment(`${details.numRuns} tries, seed ${details.seed}`)
  t.equal((await user.refresh()).status, 200, 'and the session is as alive as before')
})

// Base64 has several spellings of the same bytes, and decoders take them all: such a text is no
// forgery.
function sameBytes (text: string, token: string): boolean {
  const bytes = (jwt: string) =>
    jwt
      .trim()
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('hex'))
      .join('.')
  return bytes(text) === bytes(token)
}
