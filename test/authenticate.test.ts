import { createHmac } from 'node:crypto'
import t from 'tap'
import { createAccessTokens } from '../lib/tokens/access-token'
import type { Signer } from '../lib/tokens/signers'
import { build, hour, minute, peek, secret } from './support/app'

const challenge = (description: string) =>
  `Bearer error="invalid_token", error_description="${description}"`

t.test('a good access token lets the request in', async (t) => {
  const { login, me } = await build(t)
  const { body, authorization } = await login({ sub: 'ada', role: 'admin', list: [{ a: 1 }] })
  const claims = peek(body.access_token)
  for (const header of [
    authorization,
    `bearer ${body.access_token}`,
    `BEARER   ${body.access_token} `
  ]) {
    t.strictSame((await me({ authorization: header })).json(), { user: claims, sid: claims.sid })
  }
})

t.test('each fault has its code and its challenge', async (t) => {
  const { login, me, clock, app } = await build(t)
  const { body } = await login()
  const [head, payload, signature] = body.access_token.split('.') as [string, string, string]
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const header = peek(body.access_token, 0)
  const claims = peek(body.access_token)
  const sign = (head: object, payload: unknown) => {
    const input = `${encode(head)}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  t.equal(
    (await me({ authorization: `Bearer ${sign(header, claims)}` })).statusCode,
    200,
    'a token of ours made elsewhere is as good'
  )
  const missing = ['', 'Basic YTpi', 'Token x', 'Bearerx', `DPoP ${body.access_token}`]
  const invalid = [
    'Bearer',
    'Bearer ',
    'Bearer x',
    'Bearer a b',
    `Bearer ${body.access_token} x`,
    'Bearer ..',
    'Bearer null',
    `Bearer ${'a'.repeat(9000)}`,
    `Bearer ${head}.${payload}`,
    `Bearer ${head}.${payload}.`,
    `Bearer ${head}.${encode({ ...claims, sub: 'bob' })}.${signature}`,
    `Bearer ${encode({ alg: 'none', typ: 'at+jwt', kid: header.kid })}.${payload}.`,
    `Bearer ${encode({ alg: 'XX', typ: 'at+jwt', kid: header.kid })}.${payload}.${signature}`,
    `Bearer ${sign({ ...header, typ: 'JWT' }, claims)}`,
    `Bearer ${sign({ alg: 'HS256', kid: header.kid }, claims)}`,
    `Bearer ${sign({ ...header, alg: 'HS512' }, claims)}`,
    `Bearer ${sign({ ...header, kid: undefined }, claims)}`,
    `Bearer ${sign({ ...header, kid: 'other' }, claims)}`,
    `Bearer ${sign({ ...header, crit: ['x'], x: 1 }, claims)}`,
    ...['sub', 'sid', 'iat', 'exp', 'auth_time'].map(
      (name) => `Bearer ${sign(header, { ...claims, [name]: undefined })}`
    ),
    ...['sub', 'sid', 'exp', 'iat', 'auth_time'].map(
      (name) => `Bearer ${sign(header, { ...claims, [name]: [] })}`
    ),
    `Bearer ${sign(header, 'text')}`,
    `Bearer ${sign(header, null)}`,
    `Bearer ${sign(header, [])}`
  ]
  for (const authorization of missing) {
    const response = await me({ authorization })
    t.match(response.json(), { statusCode: 401, code: 'ACCESS_TOKEN_MISSING' }, authorization)
    t.equal(response.headers['www-authenticate'], 'Bearer')
  }
  t.equal((await app.inject('/me')).json().code, 'ACCESS_TOKEN_MISSING')
  for (const authorization of invalid) {
    const response = await me({ authorization })
    t.match(
      response.json(),
      { statusCode: 401, code: 'ACCESS_TOKEN_INVALID' },
      authorization.slice(0, 200)
    )
    t.equal(response.headers['www-authenticate'], challenge('The access token is invalid'))
  }
  clock.pass(30 * minute - 1)
  t.equal((await me({ authorization: `Bearer ${body.access_token}` })).statusCode, 200)
  clock.pass(1)
  const response = await me({ authorization: `Bearer ${body.access_token}` })
  t.match(response.json(), { statusCode: 401, code: 'ACCESS_TOKEN_EXPIRED' })
  t.equal(response.headers['www-authenticate'], challenge('The access token expired'))
})

t.test('the exact reason goes to the log, never to the client', async (t) => {
  const lines: string[] = []
  const { me } = await build(t, {
    server: {
      logger: {
        level: 'info',
        stream: {
          write: (line) => {
            lines.push(line)
          }
        }
      }
    }
  })
  const response = await me({ authorization: 'Bearer a b' })
  t.notMatch(response.body, /malformed/)
  t.match(lines.join(''), /"reason":"a malformed Authorization header"/)
})

t.test('it is a hook for onRequest and preHandler, a call, and a promise', async (t) => {
  const { login, app } = await build(t, {
    extend: (app) => {
      app.get('/pre', { preHandler: [app.authenticate] }, async ({ user }) => user)
      app.get('/call', async (request, reply) => [
        await request.authenticate(),
        request.user,
        await app.authenticate(request, reply)
      ])
      app.get(
        '/maybe',
        async (request) => await request.authenticate().catch(() => [request.user, request.sid])
      )
      app.get('/open', async ({ user, sid }) => [user, sid])
    }
  })
  const { authorization, body } = await login()
  const claims = peek(body.access_token)
  t.strictSame((await app.inject({ url: '/pre', headers: { authorization } })).json(), claims)
  t.strictSame((await app.inject({ url: '/call', headers: { authorization } })).json(), [
    claims,
    claims,
    null
  ])
  t.equal((await app.inject('/call')).statusCode, 401)
  t.strictSame((await app.inject('/maybe')).json(), [null, null])
  t.strictSame((await app.inject('/open')).json(), [null, null])
})

t.test('no request can change what another one sees', async (t) => {
  const { login, app } = await build(t, {
    extend: (app) => {
      app.get('/change', { onRequest: app.authenticate }, async ({ user }) => {
        const claims = user as unknown as { role: string, list: Array<{ a: number }> }
        const before = structuredClone(user)
        claims.role = 'root'
        claims.list.push({ a: 2 })
        ;(claims.list[0] as { a: number }).a = 2
        return before
      })
      app.get('/rise', { onRequest: app.authenticate }, async ({ user }) => {
        const before = { ...user as unknown as object }
        ;(user as unknown as { role: string }).role = 'root'
        return before
      })
    }
  })
  const { authorization } = await login({ sub: 'ada', role: 'user', list: [{ a: 1 }] })
  const { authorization: flat } = await login({ sub: 'eve', role: 'user' })
  for (let i = 0; i < 3; i++) {
    const { role, list } = (await app.inject({ url: '/change', headers: { authorization } })).json()
    t.strictSame({ role, list }, { role: 'user', list: [{ a: 1 }] })
    t.equal(
      (await app.inject({ url: '/rise', headers: { authorization: flat } })).json().role,
      'user'
    )
  }
})

t.test('maxAge demands a recent login', async (t) => {
  const { login, refresh, clock, app } = await build(t, {
    extend: (app) => {
      app.get(
        '/pay',
        {
          preHandler: async (request) => {
            await request.authenticate({ maxAge: '5m' })
          }
        },
        async ({ sid }) => sid
      )
      app.get(
        '/wrong',
        {
          preHandler: async (request) => {
            await request.authenticate({ maxAge: 'soon' })
          }
        },
        async ({ sid }) => sid
      )
    }
  })
  let { authorization, cookie } = await login()
  const pay = async (url = '/pay') => await app.inject({ url, headers: { authorization } })
  clock.pass(5 * minute)
  t.equal((await pay()).statusCode, 200)
  clock.pass(1)
  authorization = `Bearer ${(await refresh({ cookie })).json().access_token}`
  const response = await pay()
  t.match(response.json(), { statusCode: 401, code: 'REAUTHENTICATION_REQUIRED' })
  t.equal(
    response.headers['www-authenticate'],
    'Bearer error="insufficient_user_authentication", error_description="A more recent login is required", max_age=300'
  )
  t.match((await pay('/wrong')).json(), {
    statusCode: 500,
    code: 'INVALID_OPTION',
    message: /request\.authenticate: options\.maxAge is "soon"/
  })
  clock.pass(hour)
  t.equal((await pay()).json().code, 'ACCESS_TOKEN_EXPIRED')
})

t.test('a 401 in words of a handler carries the challenge, unless it has one of its own', async (t) => {
  const { app } = await build(t, {
    extend: (app) => {
      app.get('/words', async (request, reply) => {
        const refused = await request.authenticate().catch((error: Error) => error)
        return await reply.code(401).send({ words: (refused as Error).message })
      })
      app.get('/own', async (request, reply) => {
        await request.authenticate().catch(() => {})
        return await reply.code(401).header('WWW-Authenticate', 'Basic').send()
      })
      app.get('/open', async (request) => {
        await request.authenticate().catch(() => {})
        return 'open'
      })
    }
  })
  const challenges = await Promise.all(['/words', '/own', '/open'].map(async (url) =>
    (await app.inject(url)).headers['www-authenticate']))
  t.strictSame(challenges, ['Bearer', 'Basic', undefined])
})

t.test('what is remembered of verified tokens is bounded by the memory that it takes', async (t) => {
  let verified = 0
  const claims = { sub: 'ada', sid: 's', iat: 1, exp: 2, auth_time: 1 }
  const signer: Signer = {
    kid: 'k', header: 'h', sign: () => 'h.p.s', verify: () => { verified++; return claims }
  }
  const tokens = createAccessTokens([signer], { lifetime: minute, clientId: undefined })
  const nth = (n: number): string => `h.${String(n).padStart(8_000, '0')}.s`
  const ask = (n: number): boolean => {
    const before = verified
    t.strictSame(tokens.verify(nth(n)), claims)
    return verified === before
  }
  for (let n = 0; n < 1_000; n++) ask(n)
  t.equal(ask(0), true, 'a thousand tokens of 8 kB fit into 32 MiB')
  for (let n = 1_000; n < 2_000; n++) ask(n)
  t.equal(ask(1_999), true)
  t.equal(ask(1), false, 'two thousand do not: the ones used longest ago are verified again')
  t.equal(ask(1), true)
})
