import { fork } from 'node:child_process'
import { createHmac, createSecretKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { JSONWebKeySet } from 'jose' with { 'resolution-mode': 'import' }
import t, { type Test } from 'tap'
import { MemoryStore, type Secret } from '../lib/index'
import { readRing } from '../lib/tokens/keys'
import { build, peek, secret as shared, TestClock, toClient, type Client } from './support/app'
type Tap = Pick<Test, 'teardown' | 'same' | 'equal'>
import { redisFor, type RedisServer } from './support/servers/redis'

/** Another implementation of JWTs, which comes as an ES module alone. */
const jose = import('jose')

const older = 'an older secret of more than 32 bytes'
const newer = Buffer.from('a newer secret of more than 32 bytes')

const pem = {
  public: { type: 'spki', format: 'pem' },
  private: { type: 'pkcs8', format: 'pem' }
} as const
const pairOf = ({ publicKey, privateKey }: { publicKey: KeyObject, privateKey: KeyObject }) => ({
  public: publicKey,
  private: privateKey
})
const ed25519 = pairOf(generateKeyPairSync('ed25519'))
const p256 = pairOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const rsa = pairOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const kinds = { EdDSA: ed25519, ES256: p256, RS256: rsa }
const toPem = (key: KeyObject) => String(key.export(pem[key.type as 'public' | 'private']))

const header = (token: string) => peek(token, 0)
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

/** Makes a token by hand, so that nothing of what it says is checked by anyone. */
function make (
  head: object,
  payload: object,
  toSignature: (input: string) => Buffer | string
): string {
  const input = `${encode(head)}.${encode(payload)}`
  return `${input}.${Buffer.from(toSignature(input)).toString('base64url')}`
}

const hmac =
  (key: string | Buffer, hash = 'sha256') =>
    (input: string) =>
      createHmac(hash, key).update(input).digest()

/** Two apps on one store, as two nodes with different rings. */
async function nodes (t: Tap, one: Secret | Secret[], other: Secret | Secret[]) {
  const clock = new TestClock()
  const store = new MemoryStore(clock)
  return [
    await build(t, { secret: one, store }),
    await build(t, { secret: other, store }),
    clock
  ] as const
}

t.test('the key ring', async (t) => {
  t.test('the first secret signs, all verify, each token by its kid', async (t) => {
    const [before, after] = await nodes(t, older, [newer, older])
    const old = await before.login()
    const fresh = await after.login()
    t.not(header(old.body.access_token).kid, header(fresh.body.access_token).kid)
    t.equal(header(old.refreshToken).kid, header(old.body.access_token).kid)
    t.equal(header(fresh.refreshToken).kid, header(fresh.body.access_token).kid)
    t.equal((await after.me(old)).statusCode, 200)
    t.equal((await after.me(fresh)).statusCode, 200)
    t.equal((await before.me(fresh)).json().code, 'ACCESS_TOKEN_INVALID')
  })

  t.test('a refresh moves a session to the newest key, and nobody notices', async (t) => {
    const [before, after] = await nodes(t, older, [newer, older])
    const old = await before.login()
    const moved = toClient(await after.refresh(old))
    const { kid } = header((await after.login()).body.access_token)
    t.equal(header(moved.refreshToken).kid, kid)
    t.equal(header(moved.body.access_token).kid, kid)
    t.equal(peek(moved.body.access_token).sid, peek(old.body.access_token).sid)
    t.equal((await after.me(old)).statusCode, 200)
    t.equal(toClient(await after.refresh(moved)).body.token_type, 'Bearer')
  })

  t.test('taking the oldest out ends just its tokens', async (t) => {
    const [before, after] = await nodes(t, [newer, older], newer)
    const [onlyOld] = await nodes(t, older, older)
    const old = await onlyOld.login()
    const moved = await before.login()
    t.equal((await after.me(old)).json().code, 'ACCESS_TOKEN_INVALID')
    t.equal((await after.refresh(old)).json().code, 'REFRESH_TOKEN_INVALID')
    t.equal((await after.me(moved)).statusCode, 200)
    t.equal((await after.refresh(moved)).statusCode, 200)
  })

  for (const [name, one, other] of [
    ['from HS256 to EdDSA', older, ed25519],
    ['from EdDSA to HS256', ed25519, older],
    ['from RS256 to ES256', rsa, p256]
  ] as const) {
    t.test(`a ring may be mixed: ${name}`, async (t) => {
      const [before, after] = await nodes(t, one, [other, one])
      const old = await before.login()
      t.equal((await after.me(old)).statusCode, 200)
      const moved = toClient(await after.refresh(old))
      t.not(header(moved.body.access_token).alg, header(old.body.access_token).alg)
      t.equal((await after.me(moved)).statusCode, 200)
      t.equal((await after.refresh(moved)).statusCode, 200)
    })
  }

  t.test('a repeat is given the same refresh token by a node whose ring has another order', async (t) => {
    for (const [one, other] of [[older, newer], [older, ed25519], [p256, rsa]] as const) {
      const [left, right] = await nodes(t, [one, other], [other, one])
      const login = await left.login()
      const first = toClient(await right.refresh(login))
      const repeats = await Promise.all(
        [left, right, left, right].map(async (node) => toClient(await node.refresh(login)))
      )
      for (const repeat of repeats) t.equal(repeat.refreshToken, first.refreshToken)
    }
  })

  t.test('two keys whose kids begin alike are never taken for one another', async (t) => {
    const met = new Map<string, string>()
    let twins: [string, string] | undefined
    for (let i = 0; twins === undefined; i++) {
      const one = `a secret of more than 32 bytes, the ${i}th`
      const start = readRing(one)[0].kid.slice(0, 2)
      const other = met.get(start)
      if (other !== undefined) twins = [one, other]
      met.set(start, one)
    }
    const [left, right] = await nodes(t, twins, [...twins].reverse())
    const login = await left.login()
    const first = toClient(await right.refresh(login))
    t.equal(toClient(await left.refresh(login)).refreshToken, first.refreshToken)
  })

  t.test('a repeat on a node that lacks the key which rotated is given a token of the same generation by a key it has', async (t) => {
    const [before, after] = await nodes(t, older, [newer, older])
    const login = await before.login()
    const first = toClient(await after.refresh(login))
    const repeat = toClient(await before.refresh(login))
    // The tag is sealed by the key that signs.
    t.same({ ...peek(repeat.refreshToken), tag: '' }, { ...peek(first.refreshToken), tag: '' })
    t.equal(
      toClient(await after.refresh(repeat)).refreshToken,
      toClient(await after.refresh(first)).refreshToken
    )
  })

  t.test('a key that is only public verifies access tokens and no refresh token', async (t) => {
    const [before, after] = await nodes(t, ed25519, [newer, { public: ed25519.public }])
    const login = await before.login()
    t.equal((await after.me(login)).statusCode, 200)
    t.equal((await after.refresh(login)).json().code, 'REFRESH_TOKEN_INVALID')
    t.equal((await before.refresh(login)).statusCode, 200)
  })

  t.test('a secret is measured in bytes, and is the same as a string or in a Buffer', async (t) => {
    const accented = 'é'.repeat(16)
    const [one, other] = await nodes(t, accented, Buffer.from(accented))
    const client = await one.login()
    t.equal((await other.me(client)).statusCode, 200)
    t.equal((await other.refresh(client)).statusCode, 200)
    await t.rejects(build(t, { secret: 'é'.repeat(15) + 'e' }), { message: /a secret of 31 bytes/ })
  })

  t.test('the array and the secrets are read once: what becomes of them later changes nothing', async (t) => {
    const buffer = Buffer.from(newer)
    const ring: Secret[] = [buffer]
    const { login, me } = await build(t, { secret: ring })
    const client = await login()
    buffer.fill(0)
    ring.length = 0
    t.equal((await me(client)).statusCode, 200)
    t.equal((await me(await login())).statusCode, 200)
    const { jwtVerify } = await jose
    await t.resolves(
      jwtVerify((await login()).body.access_token, newer, {
        currentDate: new Date(new TestClock().ms)
      })
    )
  })
})

t.test('a rolling deploy', async (t) => {
  const server = await redisFor(t)
  const [one, two] = await Promise.all([startNode(t, server), startNode(t, server)])
  const oldRing = [older]
  const prepared = [older, String(newer)]
  const newRing = [String(newer), older]

  t.test('a new key stands second first, then first: while one process is ahead of the other, nobody meets a 401', async (t) => {
    await one.deploy(oldRing)
    await two.deploy(oldRing)
    const user = await login(one)
    const early = await login(two)
    for (const ring of [prepared, newRing]) {
      await one.deploy(ring)
      await roam(t, user, [one, two])
      await two.deploy(ring)
      await roam(t, user, [one, two])
      t.equal(await call(one, 'GET', '/me', early), 200)
    }
    await one.deploy([String(newer)])
    await roam(t, user, [one, two])
    t.equal(
      await call(one, 'POST', '/auth/refresh', early),
      401,
      'only who has not refreshed since'
    )
    t.equal(await call(two, 'POST', '/auth/refresh', early), 200)
    t.equal(await call(one, 'POST', '/auth/refresh', early), 200)
  })

  t.test('a new key that signs at once is refused by the old process: nothing is spent, nothing cleared, the new one takes the same token', async (t) => {
    await one.deploy(oldRing)
    await two.deploy(newRing)
    const user = await login(one)
    t.equal(await call(two, 'POST', '/auth/refresh', user), 200)
    const { cookie, accessToken } = user
    for (let i = 0; i < 3; i++) {
      t.equal(await call(one, 'GET', '/me', user), 401)
      t.equal(await call(one, 'POST', '/auth/refresh', user), 401)
      t.match(user, { code: 'REFRESH_TOKEN_INVALID', setCookie: null, cookie, accessToken })
    }
    t.equal(await call(two, 'GET', '/me', user), 200)
    t.equal(await call(two, 'POST', '/auth/refresh', user), 200)
    t.not(user.cookie, cookie)
  })

  t.test('a repeat on a process whose ring has another order is given the same refresh token', async (t) => {
    await one.deploy(prepared)
    await two.deploy(newRing)
    const user = await login(one)
    const cookies = await Promise.all([one, two, one, two, two, one].map(async (node) => {
      const tab = { ...user }
      t.equal(await call(node, 'POST', '/auth/refresh', tab), 200)
      return tab.cookie
    }))
    t.equal(new Set(cookies).size, 1)
    t.not(cookies[0], user.cookie)
  })
})

t.test('key pairs', async (t) => {
  for (const [alg, pair] of Object.entries(kinds)) {
    const forms: [string, Secret][] = [
      ['two KeyObjects', pair],
      ['a private KeyObject alone', { private: pair.private }],
      ['PEM strings', { private: toPem(pair.private), public: toPem(pair.public) }],
      [
        'PEM in Buffers',
        { private: Buffer.from(toPem(pair.private)), public: Buffer.from(toPem(pair.public)) }
      ]
    ]
    if (alg === 'ES256') {
      forms.push([
        'PEM of SEC 1',
        { private: String(pair.private.export({ type: 'sec1', format: 'pem' })) }
      ])
    }
    if (alg === 'RS256') {
      forms.push([
        'PEM of PKCS #1',
        { private: String(pair.private.export({ type: 'pkcs1', format: 'pem' })) }
      ])
    }

    t.test(`${alg} follows from the key, in whichever form it is given`, async (t) => {
      const kids = new Set()
      let client: Client | undefined
      for (const [form, secret] of forms) {
        const { login, refresh, me } = await build(t, { secret })
        client ??= await login()
        t.match(header(client.body.access_token), { alg, typ: 'at+jwt' }, form)
        t.match(header(client.refreshToken), { alg: 'HS256', typ: 'rt+jwt' }, form)
        t.equal((await me(client)).statusCode, 200, `${form}: the same key`)
        const own = await login()
        const refreshed = toClient(await refresh(own))
        t.equal((await me(refreshed)).statusCode, 200, form)
        kids.add(header(refreshed.refreshToken).kid)
      }
      t.equal(kids.size, 1)
    })

    t.test(`another implementation verifies what ${alg} signs, and signs what is accepted`, async (t) => {
      const { SignJWT, jwtVerify } = await jose
      const { login, me, clock } = await build(t, {
        secret: pair,
        accessToken: { issuer: 'https://a.example', audience: ['api', 'web'] }
      })
      const client = await login({ sub: 'ada', roles: ['admin'] })
      const options = {
        algorithms: [alg],
        typ: 'at+jwt',
        issuer: 'https://a.example',
        currentDate: new Date(clock.ms)
      }
      for (const audience of ['api', 'web']) {
        const { payload } = await jwtVerify(client.body.access_token, pair.public, {
          ...options,
          audience
        })
        t.match(payload, {
          sub: 'ada',
          roles: ['admin'],
          iss: 'https://a.example',
          aud: ['api', 'web'],
          iat: clock.ms / 1000,
          exp: clock.ms / 1000 + 1800
        })
      }
      const claims = peek(client.body.access_token)
      const theirs = await new SignJWT(claims)
        .setProtectedHeader({ ...header(client.body.access_token), alg })
        .sign(pair.private)
      t.same((await me({ authorization: `Bearer ${theirs}` })).json().user, claims)
    })

    t.test(`${alg}: the public key is no secret, and no other algorithm is ever tried`, async (t) => {
      const { login, refusal } = await attacked(t, pair)
      const { body: { access_token: token } } = await login()
      const [claims, { kid }] = [peek(token), header(token)]
      const spki = toPem(pair.public)
      const der = pair.public.export({ type: 'spki', format: 'der' })
      for (const known of [
        spki,
        spki.trimEnd(),
        spki + '\n',
        der,
        Buffer.from(JSON.stringify(pair.public.export({ format: 'jwk' })))
      ]) {
        for (const [alg, hash] of [
          ['HS256', 'sha256'],
          ['HS384', 'sha384'],
          ['HS512', 'sha512']
        ] as const) {
          await refusal({ alg, kid, typ: 'at+jwt' }, claims, hmac(known, hash))
        }
        await refusal({ alg: header(token).alg, kid, typ: 'at+jwt' }, claims, hmac(known))
      }
      const stranger = generateKeyPairSync('ed25519')
      for (const head of [
        { alg: 'EdDSA' },
        { alg: 'EdDSA', jwk: stranger.publicKey.export({ format: 'jwk' }) },
        { alg: 'EdDSA', jku: 'https://evil.example/jwks.json' }
      ]) {
        await refusal({ ...head, kid, typ: 'at+jwt' }, claims, (input) =>
          sign(null, Buffer.from(input), stranger.privateKey)
        )
      }
    })
  }

  t.test('RSA: a token of the same key by PS256, RS384 or RS512 is refused', async (t) => {
    const { SignJWT } = await jose
    const { login, me } = await build(t, { secret: rsa })
    const { body: { access_token: token } } = await login()
    for (const alg of ['RS256', 'RS384', 'RS512', 'PS256']) {
      const theirs = await new SignJWT(peek(token))
        .setProtectedHeader({ ...header(token), alg })
        .sign(rsa.private)
      t.equal(
        (await me({ authorization: `Bearer ${theirs}` })).statusCode,
        alg === 'RS256' ? 200 : 401,
        alg
      )
    }
  })
})

t.test('what a header says', async (t) => {
  const { login, refusal, app } = await attacked(t, shared)
  const { body: { access_token: token }, refreshToken } = await login()
  const [claims, head] = [peek(token), header(token)]

  t.test('a secret signs as itself, so that any JWT library which has it can verify and sign', async (t) => {
    const { SignJWT, jwtVerify } = await jose
    const { login, me, clock } = await build(t)
    const { body: { access_token: token } } = await login()
    const { payload, protectedHeader } = await jwtVerify(token, Buffer.from(shared), {
      algorithms: ['HS256'],
      typ: 'at+jwt',
      currentDate: new Date(clock.ms)
    })
    t.match(payload, { sub: 'ada', sid: String, auth_time: clock.ms / 1000 })
    t.same(Object.keys(protectedHeader).sort(), ['alg', 'kid', 'typ'])
    const theirs = await new SignJWT({ ...payload, role: 'admin' })
      .setProtectedHeader({ ...protectedHeader, alg: 'HS256' })
      .sign(Buffer.from(shared))
    t.equal((await me({ authorization: `Bearer ${theirs}` })).json().user.role, 'admin')
  })

  t.test('alg none, in any spelling, with or without a signature, is refused', async () => {
    for (const alg of ['none', 'None', 'NONE', '', null, undefined, 0, ['HS256'], { HS256: 1 }]) {
      for (const signature of ['', 'x', hmac(shared)('x'), token.split('.')[2] ?? '']) {
        await refusal({ ...head, alg }, claims, () => signature)
      }
    }
    for (const cut of [
      '',
      '.',
      '..',
      token.slice(0, token.lastIndexOf('.')),
      token.slice(0, token.lastIndexOf('.') + 1),
      `${token}.`,
      `${token}.x`,
      `.${token}`
    ]) {
      await refusal(cut)
    }
  })

  t.test('another HMAC with the right secret is refused', async () => {
    await refusal({ ...head, alg: 'HS384' }, claims, hmac(shared, 'sha384'))
    await refusal({ ...head, alg: 'HS512' }, claims, hmac(shared, 'sha512'))
  })

  t.test('a wrong or a missing kid is refused, whoever signed', async () => {
    for (const kid of [
      undefined,
      null,
      '',
      'x',
      0,
      [head.kid],
      { 0: head.kid },
      '__proto__',
      'constructor',
      `${head.kid} `
    ]) {
      await refusal({ ...head, kid }, claims, hmac(shared))
    }
  })

  t.test('a crit that nobody here understands is refused', async () => {
    for (const crit of [['b64'], ['exp'], ['urn:x'], [], ['kid'], 'b64', {}, true]) {
      await refusal({ ...head, crit, b64: true, exp: 1, 'urn:x': 1 }, claims, hmac(shared))
    }
  })

  t.test('another type is refused, and neither kind of token is taken for the other', async (t) => {
    for (const typ of ['JWT', 'rt+jwt', '', undefined, null, 1, 'jwt+at']) {
      await refusal({ ...head, typ }, claims, hmac(shared))
    }
    await refusal(refreshToken)
    await refusal({ ...head, typ: 'at+jwt' }, peek(refreshToken), hmac(shared))
    const asRefresh = make({ ...head, typ: 'rt+jwt' }, peek(refreshToken), hmac(shared))
    for (const forged of [token, asRefresh]) {
      const answer = await app.inject({
        method: 'POST',
        url: '/auth/refresh',
        headers: { cookie: `__Host-refresh_token=${forged}` }
      })
      t.same(
        [answer.statusCode, answer.json().code, answer.headers['set-cookie']],
        [401, 'REFRESH_TOKEN_INVALID', undefined]
      )
    }
  })

  t.test('a refresh token has one header, and with no other it is one, even under its own key', async (t) => {
    const key = readRing(shared)[0].derived?.refreshToken ?? ''
    const { login, refresh } = await build(t)
    const { refreshToken } = await login()
    const [own, says] = [header(refreshToken), peek(refreshToken)]
    const present = async (head: object) =>
      (await refresh({ cookie: `__Host-refresh_token=${make(head, says, hmac(key))}` })).statusCode
    for (const change of [
      { alg: 'HS512' },
      { alg: 'none' },
      { typ: 'at+jwt' },
      { typ: 'RT+JWT' },
      { kid: 'AAAAAAAA' },
      { kid: undefined },
      { crit: ['x'], x: 1 }
    ]) {
      t.equal(await present({ ...own, ...change }), 401, inspect(change))
    }
    t.equal(await present(own), 200)
  })

  t.test('a payload that lacks a claim, or has one of another type, is refused', async () => {
    for (const name of ['sub', 'sid', 'iat', 'exp', 'auth_time']) {
      for (const value of [undefined, null, {}, name.startsWith('s') ? 1 : 'x']) {
        await refusal(head, { ...claims, [name]: value }, hmac(shared))
      }
    }
  })

  t.test('the forger of this file can make a token that passes', async (t) => {
    const answer = await app.inject({
      url: '/me',
      headers: { authorization: `Bearer ${make(head, claims, hmac(shared))}` }
    })
    t.equal(answer.statusCode, 200)
  })
})

t.test('issuer and audience are demanded where they are set', async (t) => {
  const { login, me } = await build(t, { accessToken: { issuer: 'here', audience: 'api' } })
  const plain = await build(t)
  const { body: { access_token: token } } = await login()
  t.match(peek(token), { iss: 'here', aud: 'api' })
  t.equal((await me({ authorization: `Bearer ${token}` })).statusCode, 200)
  t.equal((await me(await plain.login())).json().code, 'ACCESS_TOKEN_INVALID')
  for (const [change, status] of [
    [{ iss: undefined }, 401],
    [{ iss: 'there' }, 401],
    [{ iss: ['here'] }, 401],
    [{ iss: 'HERE' }, 401],
    [{ aud: undefined }, 401],
    [{ aud: 'web' }, 401],
    [{ aud: [] }, 401],
    [{ aud: 1 }, 401],
    [{ aud: ['web', 'api'] }, 200]
  ] as const) {
    const changed = make(header(token), { ...peek(token), ...change }, hmac(shared))
    t.equal((await me({ authorization: `Bearer ${changed}` })).statusCode, status, inspect(change))
  }
  const several = await build(t, { accessToken: { audience: ['api', 'web'] } })
  const own = await several.login()
  t.same(peek(own.body.access_token).aud, ['api', 'web'])
  t.equal((await several.me(own)).statusCode, 200)
  t.equal((await several.refresh(own)).statusCode, 200)
  t.notOk('iss' in peek(own.refreshToken) || 'aud' in peek(own.refreshToken))
})

t.test('an issuer that is set later refuses the access tokens from before; a refresh brings a good one, unless it must be paired', async (t) => {
  const store = new MemoryStore(new TestClock())
  const before = await build(t, { store })
  const later = { store, accessToken: { issuer: 'here' } }
  const after = await build(t, later)
  const paired = await build(t, { ...later, refreshToken: { paired: true } })
  const client = await before.login()
  t.equal((await after.me(client)).json().code, 'ACCESS_TOKEN_INVALID')
  t.equal(
    (await paired.refresh(client, { headers: { authorization: client.authorization } })).json()
      .code,
    'ACCESS_TOKEN_INVALID'
  )
  const refreshed = toClient(await after.refresh(client))
  t.equal((await after.me(refreshed)).statusCode, 200)
  t.equal(
    (await paired.refresh(refreshed, { headers: { authorization: refreshed.authorization } }))
      .statusCode,
    200
  )
})

t.test('routes.jwks', async (t) => {
  t.test('serves the public members of every key pair of the ring, cacheable', async (t) => {
    const { app, login } = await build(t, {
      secret: [ed25519, shared, { public: p256.public }, rsa],
      routes: { jwks: true }
    })
    const answer = await app.inject('/auth/jwks.json')
    t.equal(answer.headers['cache-control'], 'public, max-age=300')
    t.match(answer.headers['content-type'], /^application\/json/)
    const { keys } = answer.json<JSONWebKeySet>()
    t.same(
      keys.map(({ kty, alg, use }) => [kty, alg, use]),
      [
        ['OKP', 'EdDSA', 'sig'],
        ['EC', 'ES256', 'sig'],
        ['RSA', 'RS256', 'sig']
      ]
    )
    t.same(
      keys.map((key) => Object.keys(key).sort().join(' ')),
      ['alg crv kid kty use x', 'alg crv kid kty use x y', 'alg e kid kty n use']
    )
    t.equal(keys[0]?.kid, header((await login()).body.access_token).kid)
    t.equal((await app.inject({ method: 'POST', url: '/auth/jwks.json' })).statusCode, 404)
  })

  t.test('is enough for another service to verify access tokens, over the network, while the ring changes', async (t) => {
    const { createRemoteJWKSet, jwtVerify } = await jose
    const [before, after, clock] = await nodes(t, ed25519, ed25519)
    const ring = await build(t, { secret: [p256, ed25519], routes: { jwks: true } })
    const url = await ring.app.listen({ port: 0, host: '127.0.0.1' })
    const jwks = createRemoteJWKSet(new URL('/auth/jwks.json', url))
    for (const { login } of [before, after, ring]) {
      const { payload } = await jwtVerify((await login()).body.access_token, jwks, {
        typ: 'at+jwt',
        currentDate: new Date(clock.ms)
      })
      t.equal(payload.sub, 'ada')
    }
    await t.rejects(
      jwtVerify((await (await build(t, { secret: rsa })).login()).body.access_token, jwks),
      { code: 'ERR_JWKS_NO_MATCHING_KEY' }
    )
    await t.rejects(
      jwtVerify((await ring.login()).refreshToken, jwks, { currentDate: new Date(clock.ms) })
    )
  })

  t.test('stands under the prefix, takes route options, and is off by default', async (t) => {
    const named = await build(t, {
      secret: p256,
      prefix: '/session',
      routes: {
        jwks: {
          onSend: async (_request, reply) => {
            reply.header('cache-control', 'public, max-age=60')
          }
        }
      }
    })
    t.match(await named.app.inject('/session/jwks.json'), {
      statusCode: 200,
      headers: { 'cache-control': 'public, max-age=60' }
    })
    for (const jwks of [false, undefined]) {
      t.equal(
        (await (await build(t, { secret: p256, routes: { jwks } })).app.inject('/auth/jwks.json'))
          .statusCode,
        404
      )
    }
  })

  t.test('is refused by a ring without key pairs, with a sentence', async (t) => {
    await t.rejects(build(t, { routes: { jwks: true } }), {
      code: 'INVALID_OPTION',
      message:
        'The option routes.jwks is true; allowed: a ring with a key pair in it: a shared secret has no public key'
    })
    await t.rejects(build(t, { secret: [older, newer], routes: { jwks: {} } }), {
      code: 'INVALID_OPTION',
      message: /routes\.jwks is an object/
    })
  })
})

t.test('a wrong key fails the registration with its reason, which never says the secret', async (t) => {
  const short = 'kept in thirty-one bytes at all'
  const small = pairOf(generateKeyPairSync('rsa', { modulusLength: 1024 }))
  const p384 = pairOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }))
  const ed448 = pairOf(generateKeyPairSync('ed448'))
  const x25519 = pairOf(generateKeyPairSync('x25519'))
  const pss = pairOf(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }))
  const locked = generateKeyPairSync('ed25519', {
    publicKeyEncoding: pem.public,
    privateKeyEncoding: { ...pem.private, cipher: 'aes-256-cbc', passphrase: older }
  }).privateKey
  const bad: [unknown, string][] = [
    [undefined, 'The option secret is missing;'],
    [null, 'The option secret is null;'],
    [12345678, 'The option secret is of type number;'],
    [{}, 'The option secret is of type object;'],
    [new Uint8Array(32), 'The option secret is of type Uint8Array;'],
    [createSecretKey(newer), 'The option secret is of type SecretKeyObject;'],
    [Object.create(null), 'The option secret is of type object;'],
    ['', 'The option secret is empty;'],
    [short, 'The option secret is a secret of 31 bytes;'],
    [Buffer.from(short), 'The option secret is a secret of 31 bytes;'],
    [[], 'The option secret is an empty array;'],
    [[older, short], 'The option secret[1] is a secret of 31 bytes;'],
    [[older, undefined], 'The option secret[1] is missing;'],
    [[[older]], 'The option secret[0] is of type Array;'],
    [toPem(rsa.private), 'The option secret is a PEM given as a shared secret;'],
    [Buffer.from(toPem(rsa.public)), 'The option secret is a PEM given as a shared secret;'],
    [{ private: older }, 'The option secret.private is not a readable private key;'],
    [{ private: Buffer.from(older) }, 'The option secret.private is not a readable private key;'],
    [{ private: locked }, 'The option secret.private is not a readable private key;'],
    [{ private: toPem(p256.public) }, 'The option secret.private is not a readable private key;'],
    [
      { private: toPem(p256.private).slice(0, -60) },
      'The option secret.private is not a readable private key;'
    ],
    [{ private: p256.public }, 'The option secret.private is a public key;'],
    [{ private: createSecretKey(newer) }, 'The option secret.private is a secret key;'],
    [
      { private: p256.private, public: older },
      'The option secret.public is not a readable public key;'
    ],
    [{ private: p256.private, public: p256.private }, 'The option secret.public is a private key;'],
    [
      { private: p256.private, public: toPem(p256.private) },
      'The option secret.public is a private key;'
    ],
    [{ private: p256.private, public: 1 }, 'The option secret.public is of type number;'],
    [{ private: null }, 'The option secret.private is null;'],
    [
      { private: undefined, public: undefined },
      'The option secret is neither a private nor a public key;'
    ],
    [{ private: p256.private, passphrase: older }, 'The option secret.passphrase is unknown;'],
    [
      { private: p256.private, public: rsa.public },
      'The option secret is a private and a public key that do not match;'
    ],
    [
      {
        private: p256.private,
        public: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
      },
      'The option secret is a private and a public key that do not match;'
    ],
    [{ public: ed25519.public }, 'The option secret is a public key alone, first in the ring;'],
    [
      [{ public: ed25519.public }, older],
      'The option secret[0] is a public key alone, first in the ring;'
    ],
    [[older, newer, older], 'The option secret[2] is the same key as secret[0];'],
    [[older, Buffer.from(older)], 'The option secret[1] is the same key as secret[0];'],
    [
      [ed25519, { public: toPem(ed25519.public) }],
      'The option secret[1] is the same key as secret[0];'
    ],
    [small, 'The option secret is a key of type rsa of 1024 bits;'],
    [{ private: toPem(p384.private) }, 'The option secret is a key of type ec on secp384r1;'],
    [ed448, 'The option secret is a key of type ed448;'],
    [x25519, 'The option secret is a key of type x25519;'],
    [pss, 'The option secret is a key of type rsa-pss of 2048 bits;']
  ]
  const secrets = [
    older,
    short,
    String(newer),
    locked,
    toPem(rsa.private),
    toPem(p256.private),
    toPem(p384.private)
  ]
    .flatMap((text) => text.split('\n'))
    .filter((line) => line !== '' && !line.startsWith('-----'))
  for (const [secret, start] of bad) {
    const error = await build(t, { secret } as { secret: Secret }).then(
      () => undefined,
      (error: Error) => error
    )
    t.match(error, { code: 'INVALID_OPTION', statusCode: 500 }, start)
    t.equal(error?.message.slice(0, start.length), start)
    t.match(error?.message, /; allowed: \S/)
    const said = inspect(error, { depth: 9, showHidden: true })
    t.same(secrets.filter((part) => said.includes(part)), [])
  }
})

/**
 * An app, and a check that a forged access token is refused the same way whatever is wrong with it.
 */
async function attacked (t: Tap, secret: Secret) {
  const { app, login } = await build(t, { secret })
  async function refusal (token: string): Promise<void>
  async function refusal (
    head: object,
    payload: object,
    toSignature: (input: string) => Buffer | string
  ): Promise<void>
  async function refusal (
    head: object | string,
    payload: object = {},
    toSignature: (input: string) => Buffer | string = () => ''
  ): Promise<void> {
    const token = typeof head === 'string' ? head : make(head, payload, toSignature)
    const answer = await app.inject({ url: '/me', headers: { authorization: `Bearer ${token}` } })
    const {
      statusCode,
      headers: { 'www-authenticate': challenge }
    } = answer
    t.same(
      [statusCode, answer.json().code, challenge],
      [
        401,
        'ACCESS_TOKEN_INVALID',
        'Bearer error="invalid_token", error_description="The access token is invalid"'
      ],
      inspect(head)
    )
  }
  return { app, login, refusal }
}

/** What a user of real processes holds, and what the last answer said. */
interface User {
  cookie: string
  accessToken: string
  code?: string
  setCookie?: string | null
}

/** A process that can be deployed with a ring, again and again. */
interface Deployed {
  url: string
  deploy: (ring: string[]) => Promise<void>
}

async function startNode (t: Tap, server: RedisServer): Promise<Deployed> {
  const child = fork(join(__dirname, 'support/node.ts'), [server.path])
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.disconnect()
    await exit
  })
  const node: Deployed = {
    url: '',
    deploy: async (secret) => {
      // However slow the machine is, a repeat is one.
      child.send({ secret, refreshToken: { gracePeriod: '5m' } })
      const [answer] = await once(child, 'message') as [string]
      if (!answer.startsWith('http')) throw new Error(answer)
      node.url = answer
    }
  }
  return node
}

async function login (node: Deployed): Promise<User> {
  const user: User = { cookie: '', accessToken: '' }
  await call(node, 'POST', '/login', user)
  return user
}

/** Calls a node as a browser does; what it answers is kept in `user`. */
async function call ({ url }: Deployed, method: string, path: string, user: User): Promise<number> {
  const response = await fetch(url + path, {
    method,
    headers: { cookie: user.cookie, authorization: `Bearer ${user.accessToken}` }
  })
  const body = await response.json() as { access_token?: string, code?: string }
  user.setCookie = response.headers.get('set-cookie')
  user.code = body.code
  user.cookie = user.setCookie?.split(';')[0] ?? user.cookie
  user.accessToken = body.access_token ?? user.accessToken
  return response.status
}

/** Sends a user from node to node: what one issues all of them must take. */
async function roam (t: Tap, user: User, nodes: Deployed[]): Promise<void> {
  for (const node of [...nodes, ...nodes]) {
    t.equal(await call(node, 'POST', '/auth/refresh', user), 200)
    for (const other of nodes) t.equal(await call(other, 'GET', '/me', user), 200)
  }
}
