import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { MemoryStore } from '../lib/index'
import {
  build,
  day,
  hour,
  minute,
  peek,
  second,
  secret,
  toClient,
  type Client,
  type TestApp
} from './support/app'

const foreign = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
const both = { refreshToken: { transports: ['cookie', 'body'] as ('cookie' | 'body')[] } }
const bodyAlone = { refreshToken: { transports: ['body'] as ('cookie' | 'body')[] } }

/** Refreshes with this token in the body. */
const byBody = async (
  { app }: TestApp,
  { refreshToken }: Pick<Client, 'refreshToken'>,
  headers = {}
) =>
  await app.inject({
    method: 'POST',
    url: '/auth/refresh',
    headers,
    payload: { refresh_token: refreshToken }
  })

/** Refreshes with these tokens in cookies of the one name. */
const byCookies = async ({ app }: TestApp, tokens: string[], headers = {}) =>
  await app.inject({
    method: 'POST',
    url: '/auth/refresh',
    headers: {
      ...headers,
      cookie: tokens.map((token) => `__Host-refresh_token=${token}`).join('; ')
    }
  })

/** The code of an answer; it must be a refusal that touches no cookie. */
function codeOf (answer: LightMyRequestResponse): string {
  const { code, access_token: token } = answer.json()
  if (token !== undefined || answer.headers['set-cookie'] !== undefined) {
    return `not a plain refusal: ${answer.body}`
  }
  return `${answer.statusCode} ${code}`
}

t.test('the body transport gives and takes the refresh token in JSON, and sets no cookie', async (t) => {
  const node = await build(t, bodyAlone)
  let client = await node.login()
  for (let gen = 1; gen <= 3; gen++) {
    t.same(Object.keys(client.body).sort(), [
      'access_token',
      'expires_in',
      'refresh_token',
      'token_type'
    ])
    t.equal(client.response.headers['set-cookie'], undefined)
    t.equal(client.response.headers['cache-control'], 'no-store')
    t.match(peek(client.refreshToken), { gen, via: 'body' })
    t.equal((await node.me(client)).statusCode, 200)
    client = toClient(await byBody(node, client))
  }
})

t.test('a refresh token in the body has the same life as one in a cookie', async (t) => {
  const node = await build(t, bodyAlone)
  const client = await node.login()
  const next = toClient(await byBody(node, client))
  t.equal(toClient(await byBody(node, client)).refreshToken, next.refreshToken, 'repeated')
  node.clock.pass(11 * second)
  t.equal(codeOf(await byBody(node, client)), '401 REFRESH_TOKEN_REUSED')
  t.equal(codeOf(await byBody(node, next)), '401 REFRESH_TOKEN_INVALID')
  const other = await node.login()
  node.clock.pass(15 * day)
  t.equal(codeOf(await byBody(node, other)), '401 REFRESH_TOKEN_EXPIRED')
})

t.test('a login asks for its transport; the first one that is on is the default', async (t) => {
  for (const [transports, expected] of [
    [undefined, 'cookie'],
    [['cookie', 'body'], 'cookie'],
    [['body', 'cookie'], 'body'],
    [['body'], 'body']
  ] as const) {
    const { login, app } = await build(t, {
      refreshToken: { transports: transports && [...transports] }
    })
    t.equal(peek((await login()).refreshToken).via, expected)
    for (const transport of transports ?? ['cookie']) {
      t.equal(peek((await login({ sub: 'ada' }, { transport })).refreshToken).via, transport)
    }
    t.match(
      (await app.sessions.list('ada')).map(({ transport }) => transport),
      [expected, ...(transports ?? ['cookie'])]
    )
    for (const transport of ['cookie', 'body', 'header', '', null, 1]) {
      if ([...(transports ?? ['cookie'])].some((on) => on === transport)) continue
      await t.rejects(login({ sub: 'ada' }, { transport } as object), {
        message: /INVALID_LOGIN.*transport.* is not on/
      })
    }
  }
})

t.test('both transports live side by side, each session with its own', async (t) => {
  const node = await build(t, both)
  const phone = await node.login({ sub: 'ada' }, { transport: 'body', device: 'phone' })
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie', device: 'browser' })
  t.notOk('refresh_token' in browser.body)
  t.notOk(browser.response.body.includes(browser.refreshToken))
  t.equal(phone.response.headers['set-cookie'], undefined)
  const refreshed = toClient(await node.refresh(browser))
  t.notOk('refresh_token' in refreshed.body)
  t.equal(toClient(await byBody(node, phone)).response.headers['set-cookie'], undefined)
  t.match(await node.app.sessions.list('ada'), [
    { device: 'phone', transport: 'body', generation: 2 },
    { device: 'browser', transport: 'cookie', generation: 2 }
  ])
})

t.test('a token is worth nothing by the other transport, and nothing is spent', async (t) => {
  const node = await build(t, both)
  const phone = await node.login({ sub: 'ada' }, { transport: 'body' })
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  for (let i = 0; i < 3; i++) {
    t.equal(codeOf(await byBody(node, browser)), '401 REFRESH_TOKEN_INVALID')
    t.equal(codeOf(await byCookies(node, [phone.refreshToken])), '401 REFRESH_TOKEN_INVALID')
    node.clock.pass(minute)
  }
  const relabelled = (via: string, { refreshToken }: Client) => {
    const [head, , signature] = refreshToken.split('.')
    return `${head}.${Buffer.from(JSON.stringify({ ...peek(refreshToken), via })).toString('base64url')}.${signature}`
  }
  t.equal(
    codeOf(await byBody(node, { refreshToken: relabelled('body', browser) })),
    '401 REFRESH_TOKEN_INVALID'
  )
  t.equal(codeOf(await byCookies(node, [relabelled('cookie', phone)])), '401 REFRESH_TOKEN_INVALID')
  t.equal((await byBody(node, phone)).statusCode, 200)
  t.equal((await node.refresh(browser)).statusCode, 200)
})

t.test('a transport that is off is not listened to', async (t) => {
  const store = new MemoryStore()
  const [cookies, bodies, all] = [
    await build(t, { store }),
    await build(t, { store, ...bodyAlone }),
    await build(t, { store, ...both })
  ]
  const phone = await bodies.login()
  const browser = await cookies.login()
  t.equal(codeOf(await byBody(cookies, phone)), '401 REFRESH_TOKEN_MISSING')
  t.equal(codeOf(await byBody(cookies, browser)), '401 REFRESH_TOKEN_MISSING')
  t.equal(codeOf(await byCookies(bodies, [browser.refreshToken])), '401 REFRESH_TOKEN_MISSING')
  t.equal(codeOf(await byCookies(cookies, [phone.refreshToken])), '401 REFRESH_TOKEN_INVALID')
  t.equal(codeOf(await byBody(bodies, browser)), '401 REFRESH_TOKEN_INVALID')
  t.equal(
    (
      await cookies.app.inject({
        method: 'POST',
        url: '/auth/refresh',
        headers: { cookie: browser.cookie },
        payload: { refresh_token: phone.refreshToken }
      })
    ).statusCode,
    200
  )
  t.equal((await byBody(all, phone)).statusCode, 200)
})

t.test('no cross-origin check applies to a body, which no foreign page can send unasked', async (t) => {
  const node = await build(t, both)
  const phone = await node.login({ sub: 'ada' }, { transport: 'body' })
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  t.equal(
    codeOf(await byCookies(node, [browser.refreshToken], foreign)),
    '403 CROSS_ORIGIN_REQUEST'
  )
  const next = toClient(await byBody(node, phone, foreign))
  const answer = await node.app.inject({
    method: 'POST',
    url: '/auth/logout',
    headers: foreign,
    payload: { refresh_token: next.refreshToken }
  })
  t.equal(answer.statusCode, 204)
  t.match(await node.app.sessions.list('ada'), [{ transport: 'cookie', generation: 1 }])
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x'
  ]) {
    const disguised = await node.app.inject({
      method: 'POST',
      url: '/auth/refresh',
      headers: { ...foreign, 'content-type': type },
      payload: JSON.stringify({ refresh_token: phone.refreshToken })
    })
    t.equal(
      disguised.statusCode,
      type.includes('form-u') ? 400 : 415,
      'what a page may send unasked is no JSON'
    )
  }
})

t.test('where a body and a cookie bring a token the body counts, and the session of the cookie is not touched', async (t) => {
  const node = await build(t, both)
  const phone = await node.login({ sub: 'ada' }, { transport: 'body' })
  const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
  const next = toClient(await byBody(node, phone, { cookie: browser.cookie }))
  t.match(peek(next.refreshToken), { via: 'body', gen: 2 })
  t.equal(next.response.headers['set-cookie'], undefined)
  t.equal(
    codeOf(await byBody(node, { refreshToken: 'forged' }, { cookie: browser.cookie })),
    '401 REFRESH_TOKEN_INVALID'
  )
  t.equal(
    (
      await node.app.inject({
        method: 'POST',
        url: '/auth/logout',
        headers: { cookie: browser.cookie },
        payload: { refresh_token: next.refreshToken }
      })
    ).statusCode,
    204
  )
  t.match(await node.app.sessions.list('ada'), [{ transport: 'cookie', generation: 1 }])
})

t.test('whatever a body brings in place of a token is refused, and an empty one is no body at all', async (t) => {
  const node = await build(t, both)
  const browser = await node.login()
  const send = async (payload: string, headers: Record<string, string> = {}) =>
    await node.app.inject({
      method: 'POST',
      url: '/auth/refresh',
      headers: { 'content-type': 'application/json', ...headers },
      payload
    })
  for (const token of [
    null,
    0,
    1,
    true,
    {},
    [],
    ['x'],
    'x',
    ' ',
    'a.b.c',
    '\u0000',
    'x'.repeat(4097),
    { toString: 'x' }
  ]) {
    t.equal(
      codeOf(await send(JSON.stringify({ refresh_token: token }))),
      '401 REFRESH_TOKEN_INVALID',
      inspect(token).slice(0, 20)
    )
  }
  for (const body of [
    '',
    '{}',
    '[]',
    'null',
    '1',
    '"x"',
    '{"refresh_token":""}',
    '[{"refresh_token":"x"}]',
    '{"token":"x"}'
  ]) {
    t.equal(codeOf(await send(body)), '401 REFRESH_TOKEN_MISSING', body)
  }
  for (const body of [
    '{',
    '{"refresh_token":}',
    'refresh_token=x',
    '{"__proto__":{"refresh_token":"x"}}'
  ]) {
    t.equal((await send(body)).statusCode, 400, body)
  }
  for (const type of [
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'application/vnd.api+json'
  ]) {
    t.equal(
      codeOf(await send('{"refresh_token":"x"}', { 'content-type': type })),
      '401 REFRESH_TOKEN_INVALID',
      type
    )
  }
  for (const type of [
    'application/json',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'x/y'
  ]) {
    t.equal(
      (await node.refresh(browser, { headers: { 'content-type': type } })).statusCode,
      200,
      `an empty body of type ${type}`
    )
  }
})

t.test('among several cookies of the name', async (t) => {
  t.test('the authentic one counts, wherever it stands', async (t) => {
    for (const position of [0, 1, 2, 3]) {
      const node = await build(t)
      const { refreshToken } = await node.login()
      const tokens = ['forged', 'a.b.c', refreshToken.slice(0, -2)]
      tokens.splice(position, 0, refreshToken)
      const next = toClient(await byCookies(node, tokens))
      t.equal(peek(next.refreshToken).gen, 2)
    }
  })

  t.test('of one session the highest generation counts: an older one beside it is no reuse', async (t) => {
    for (const order of [
      (tokens: string[]) => tokens,
      (tokens: string[]) => [...tokens].reverse()
    ]) {
      const node = await build(t)
      const first = await node.login()
      const next = toClient(await node.refresh(first))
      node.clock.pass(hour)
      const third = toClient(await node.refresh(next))
      node.clock.pass(hour)
      const { refreshToken } = toClient(
        await byCookies(node, order([first.refreshToken, third.refreshToken, next.refreshToken]))
      )
      t.equal(peek(refreshToken).gen, 4)
    }
  })

  t.test('one of a session that is over does not lock a living one out, however long it seems to have left', async (t) => {
    const reverse = (tokens: string[]) => [...tokens].reverse()
    for (const order of [(tokens: string[]) => tokens, reverse]) {
      const node = await build(t)
      const living = await node.login({ sub: 'ada' })
      node.clock.pass(hour)
      const ended = await node.login({ sub: 'ada' })
      await node.logout(ended)
      const refreshed = toClient(
        await byCookies(node, order([ended.refreshToken, living.refreshToken]))
      )
      t.equal(peek(refreshed.body.access_token).sid, peek(living.body.access_token).sid)
      const expired = refreshed
      node.clock.pass(14 * day)
      const late = await node.login({ sub: 'ada' })
      t.equal(
        (await byCookies(node, order([expired.refreshToken, late.refreshToken]))).statusCode,
        200
      )
    }
  })

  t.test('of two living sessions one is refreshed and the other is left alone', async (t) => {
    const node = await build(t)
    const early = await node.login({ sub: 'ada' })
    node.clock.pass(hour)
    const late = await node.login({ sub: 'ada' })
    const refreshed = toClient(await byCookies(node, [early.refreshToken, late.refreshToken]))
    t.equal(
      peek(refreshed.body.access_token).sid,
      peek(late.body.access_token).sid,
      'the one with the most life left'
    )
    t.match(await node.app.sessions.list('ada'), [{ generation: 1 }, { generation: 2 }])
    t.equal((await node.refresh(early)).statusCode, 200)
  })

  t.test('one that belongs into a body counts for nothing', async (t) => {
    const node = await build(t, both)
    const phone = await node.login({ sub: 'ada' }, { transport: 'body' })
    const browser = await node.login({ sub: 'ada' }, { transport: 'cookie' })
    t.equal(
      peek(toClient(await byCookies(node, [phone.refreshToken, browser.refreshToken])).refreshToken)
        .via,
      'cookie'
    )
    t.match(await node.app.sessions.list('ada'), [
      { transport: 'body', generation: 1 },
      { transport: 'cookie', generation: 2 }
    ])
  })

  t.test('cookies of other names, and empty ones make no difference', async (t) => {
    const node = await build(t)
    const { refreshToken } = await node.login()
    const cookie = `refresh_token=x; __Host-refresh_token=; theme=dark; =; ;; __Host-refresh_token=${refreshToken}; __Host-refresh_token=y`
    t.equal(
      (await node.app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie } }))
        .statusCode,
      200
    )
    t.equal(codeOf(await byCookies(node, ['', ''])), '401 REFRESH_TOKEN_MISSING')
  })
})

t.test('a refresh token says nothing about the user', async (t) => {
  const { login } = await build(t)
  const client = await login(
    { sub: 'ada', email: 'ada@example.com', roles: ['admin'] },
    { device: 'her phone' }
  )
  t.same(Object.keys(peek(client.refreshToken)).sort(), ['at', 'exp', 'gen', 'key', 'tag', 'via'])
  t.notMatch(
    Buffer.from(client.refreshToken.split('.')[1] ?? '', 'base64url').toString(),
    /ada|admin|phone|example/
  )
  t.notOk(
    Object.values(peek(client.refreshToken)).includes(peek(client.body.access_token).sid),
    'not even the public id of the session'
  )
})

t.test('paired', async (t) => {
  const paired = {
    refreshToken: { paired: true, transports: ['cookie', 'body'] as ('cookie' | 'body')[] }
  }
  const pair = async (node: TestApp, client: Pick<Client, 'cookie'>, authorization?: string) =>
    await node.refresh(client, { headers: authorization === undefined ? {} : { authorization } })

  t.test('a refresh with the access token of its session goes through, expired or not, again and again', async (t) => {
    const node = await build(t, paired)
    let client = await node.login()
    for (const pause of [second, hour, 13 * day]) {
      node.clock.pass(pause)
      const next = toClient(await pair(node, client, client.authorization))
      const repeat = toClient(await pair(node, client, client.authorization))
      t.equal(repeat.refreshToken, next.refreshToken)
      t.equal(
        toClient(await pair(node, client, next.authorization)).refreshToken,
        next.refreshToken,
        'any access token of the session will do'
      )
      client = next
    }
    t.equal((await node.me(client)).statusCode, 200)
  })

  t.test('a stolen cookie alone is worth nothing, and costs its owner nothing', async (t) => {
    const node = await build(t, paired)
    const spent = await node.login()
    const client = toClient(await pair(node, spent, spent.authorization))
    node.clock.pass(hour)
    for (const stolen of [client, spent]) {
      for (const authorization of [undefined, 'Basic YTpi', 'DPoP x', 'x']) {
        const answer = await pair(node, stolen, authorization)
        t.equal(codeOf(answer), '401 ACCESS_TOKEN_MISSING')
        t.equal(answer.headers['www-authenticate'], 'Bearer')
      }
    }
    t.match(await node.app.sessions.list('ada'), [{ generation: 2 }])
    t.equal((await pair(node, client, client.authorization)).statusCode, 200)
  })

  t.test('an access token of another session, a forged one, or what is none, is refused, and nothing is spent', async (t) => {
    const node = await build(t, paired)
    const client = await node.login()
    const same = await node.login()
    const other = await node.login({ sub: 'eve' })
    const elsewhere = await (
      await build(t, { secret: 'another secret of more than 32 bytes' })
    ).login()
    const [head, payload] = client.body.access_token.split('.')
    const resigned = `${head}.${payload}.${createHmac('sha256', 'a guess').update(`${head}.${payload}`).digest('base64url')}`
    const foreigner = Buffer.from(
      JSON.stringify({ ...peek(other.body.access_token), sid: peek(client.body.access_token).sid })
    ).toString('base64url')
    const patched = `${head}.${foreigner}.${other.body.access_token.split('.')[2]}`
    for (const authorization of [
      same.authorization,
      other.authorization,
      elsewhere.authorization,
      `Bearer ${resigned}`,
      `Bearer ${patched}`,
      `Bearer ${client.refreshToken}`,
      `${client.authorization} x`,
      'Bearer',
      'Bearer ',
      'Bearer x'
    ]) {
      const answer = await pair(node, client, authorization)
      t.equal(codeOf(answer), '401 ACCESS_TOKEN_INVALID', authorization.slice(0, 30))
      t.match(answer.headers['www-authenticate'], /^Bearer error="invalid_token"/)
    }
    t.match(await node.app.sessions.list('ada'), [{ generation: 1 }, { generation: 1 }])
    t.equal((await pair(node, client, client.authorization)).statusCode, 200)
  })

  t.test('what is wrong with the refresh token is said first', async (t) => {
    const node = await build(t, paired)
    const client = await node.login()
    t.equal(
      codeOf(
        await node.app.inject({
          method: 'POST',
          url: '/auth/refresh',
          headers: { authorization: client.authorization }
        })
      ),
      '401 REFRESH_TOKEN_MISSING'
    )
    t.equal(
      codeOf(await pair(node, { cookie: '__Host-refresh_token=x' }, client.authorization)),
      '401 REFRESH_TOKEN_INVALID'
    )
    t.equal(codeOf(await node.refresh(client, { headers: foreign })), '403 CROSS_ORIGIN_REQUEST')
    node.clock.pass(15 * day)
    t.equal(codeOf(await pair(node, client)), '401 REFRESH_TOKEN_EXPIRED')
  })

  t.test('a spent token with its access token is reuse, as ever', async (t) => {
    const node = await build(t, paired)
    const client = await node.login()
    toClient(await pair(node, client, client.authorization))
    node.clock.pass(hour)
    t.equal(codeOf(await pair(node, client, client.authorization)), '401 REFRESH_TOKEN_REUSED')
  })

  t.test('the access token chooses among the cookies of several sessions', async (t) => {
    const node = await build(t, paired)
    const early = await node.login()
    node.clock.pass(hour)
    const late = await node.login()
    for (const client of [early, late]) {
      const refreshed = toClient(
        await byCookies(node, [late.refreshToken, early.refreshToken], {
          authorization: client.authorization
        })
      )
      t.equal(peek(refreshed.body.access_token).sid, peek(client.body.access_token).sid)
    }
    t.match(await node.app.sessions.list('ada'), [{ generation: 2 }, { generation: 2 }])
  })

  t.test('the body transport is paired the same way', async (t) => {
    const node = await build(t, paired)
    const phone = await node.login({ sub: 'ada' }, { transport: 'body' })
    t.equal(codeOf(await byBody(node, phone)), '401 ACCESS_TOKEN_MISSING')
    t.equal((await byBody(node, phone, { authorization: phone.authorization })).statusCode, 200)
  })

  t.test('an access token by any key of the ring will do', async (t) => {
    const store = new MemoryStore()
    const [before, after] = [
      await build(t, { store, ...paired }),
      await build(t, { store, ...paired, secret: ['a newer secret of more than 32 bytes', secret] })
    ]
    const client = await before.login()
    t.equal((await pair(after, client, client.authorization)).statusCode, 200)
  })

  t.test('a logout needs the one token or the other', async (t) => {
    const node = await build(t, paired)
    t.equal((await node.logout(await node.login())).statusCode, 204)
    const { authorization } = await node.login()
    t.equal(
      (await node.app.inject({ method: 'POST', url: '/auth/logout', headers: { authorization } }))
        .statusCode,
      204
    )
    t.same(await node.app.sessions.list('ada'), [])
  })
})

t.test('remember', async (t) => {
  const attributesOf = ({ response }: Client) =>
    String(response.headers['set-cookie']).split('; ').slice(1).sort()
  const constant = ['HttpOnly', 'Path=/', 'SameSite=Strict', 'Secure']

  t.test('false: the cookie goes when the browser closes, also after every rotation, repeat and claims hook', async (t) => {
    for (const claims of [undefined, () => ({ role: 'x' })]) {
      const node = await build(t, { claims })
      let client = await node.login({ sub: 'ada' }, { remember: false })
      t.same(attributesOf(client), constant)
      for (let i = 0; i < 3; i++) {
        node.clock.pass(day)
        const next = toClient(await node.refresh(client))
        t.same(attributesOf(next), constant)
        t.same(attributesOf(toClient(await node.refresh(client))), constant)
        client = next
      }
    }
  })

  t.test('true, or left out: the cookie lives as long as its session can', async (t) => {
    for (const options of [undefined, { remember: true }]) {
      const node = await build(t, { refreshToken: { absoluteLifetime: '20d' } })
      const client = await node.login({ sub: 'ada' }, options)
      t.same(attributesOf(client), [...constant, `Max-Age=${14 * 86400}`].sort())
      node.clock.pass(10 * day)
      t.same(
        attributesOf(toClient(await node.refresh(client))),
        [...constant, `Max-Age=${10 * 86400}`].sort()
      )
    }
  })

  t.test('makes no difference to a token in the body, and is true or false', async (t) => {
    const { login } = await build(t, bodyAlone)
    t.equal(
      (await login({ sub: 'ada' }, { remember: false })).response.headers['set-cookie'],
      undefined
    )
    for (const remember of [null, 0, 'no']) {
      await t.rejects(login({ sub: 'ada' }, { remember } as object), {
        message: /INVALID_LOGIN.*remember is/
      })
    }
  })
})
