import { createRequire } from 'node:module'
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client'
import axios, { isAxiosError, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios'
import type { FastifyInstance } from 'fastify'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { AuthorizationCode } from 'simple-oauth2'
import t, { type Test } from 'tap'
import helpers from './support/app.js'
import issuers from './support/issuer.js'
import recipes from './support/recipe.js'

const { minute, peek } = helpers
const { startIssuer } = issuers
const { recipe } = recipes
type Issuer = Awaited<ReturnType<typeof startIssuer>>

// Its types are those of another build of axios.
const { createAuthRefresh } = createRequire(import.meta.url)('axios-auth-refresh') as {
  createAuthRefresh: (api: AxiosInstance, refresh: () => Promise<void>, options: object) => void
}

interface Tokens {
  accessToken: string
  refreshToken: string
}

/** A client that somebody else wrote, as far as it refreshes and revokes. */
interface Client {
  refresh: (tokens: Tokens) => Promise<Tokens>
  revoke: (tokens: Tokens, kind: keyof Tokens) => Promise<unknown>
  /** Calls a guarded route, if the package can. */
  me?: (accessToken: string) => Promise<Response>
  /** Returns what the package says that went wrong; `undefined`: no verdict. */
  verdictOf: (error: unknown) => string | undefined
}

const http = { [oauth.allowInsecureRequests]: true }
const hintOf = { accessToken: 'access_token', refreshToken: 'refresh_token' } as const

/** Each client, by its name; all but simple-oauth2 know an issuer only. */
const clients: Record<string, (issuer: Issuer) => Promise<Client>> = {
  oauth4webapi: async ({ issuer, origin }) => {
    const url = new URL(issuer)
    const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, http))
    const app = { client_id: 'app' }
    return {
      refresh: async ({ refreshToken }) => {
        const answer =
          await oauth.refreshTokenGrantRequest(as, app, oauth.None(), refreshToken, http)
        return toTokens(await oauth.processRefreshTokenResponse(as, app, answer))
      },
      revoke: async (tokens, kind) => await oauth.processRevocationResponse(
        await oauth.revocationRequest(as, app, oauth.None(), tokens[kind], {
          ...http, additionalParameters: { token_type_hint: hintOf[kind] }
        })),
      me: async (accessToken) => await oauth.protectedResourceRequest(
        accessToken, 'GET', new URL('/me', origin), undefined, undefined, http),
      verdictOf: (error) => error instanceof oauth.ResponseBodyError ? error.error : undefined
    }
  },
  'openid-client': async ({ issuer, origin }) => {
    const config = await openid.discovery(new URL(issuer), 'app', undefined, openid.None(),
      { execute: [openid.allowInsecureRequests] })
    return {
      refresh: async ({ refreshToken }) =>
        toTokens(await openid.refreshTokenGrant(config, refreshToken)),
      revoke: async (tokens, kind) => await openid.tokenRevocation(config, tokens[kind]),
      me: async (accessToken) =>
        await openid.fetchProtectedResource(config, accessToken, new URL('/me', origin), 'GET'),
      verdictOf: (error) => error instanceof openid.ResponseBodyError ? error.error : undefined
    }
  },
  'simple-oauth2, credentials in a header': async (issuer) => simpleOAuth2(issuer, 'header'),
  'simple-oauth2, credentials in the form': async (issuer) => simpleOAuth2(issuer, 'body'),
  '@badgateway/oauth2-client': async ({ issuer }) => {
    // Its default is another address, which lies outside of the prefix.
    const discoveryEndpoint = `${issuer}/.well-known/openid-configuration`
    const client = new OAuth2Client({ server: issuer, clientId: 'app', discoveryEndpoint })
    return {
      refresh: async (tokens) => {
        const next = await client.refreshToken({ ...tokens, expiresAt: null })
        return { accessToken: next.accessToken, refreshToken: String(next.refreshToken) }
      },
      revoke: async (tokens, kind) =>
        await client.revoke({ ...tokens, expiresAt: null }, hintOf[kind]),
      verdictOf: (error) => (error as { oauth2Code?: string | null }).oauth2Code ?? undefined
    }
  }
}

const toTokens = (answer: { access_token: string, refresh_token?: string }): Tokens =>
  ({ accessToken: answer.access_token, refreshToken: answer.refresh_token ?? '' })

function simpleOAuth2 ({ origin }: Issuer, authorizationMethod: 'header' | 'body'): Client {
  const client = new AuthorizationCode({
    client: { id: 'app', secret: 'not looked at' },
    auth: { tokenHost: origin, tokenPath: '/auth/refresh', revokePath: '/auth/logout' },
    options: { authorizationMethod }
  })
  const toToken = ({ accessToken, refreshToken }: Tokens) =>
    client.createToken({ access_token: accessToken, refresh_token: refreshToken, expires_in: 1800 })
  return {
    refresh: async (tokens) => toTokens((await toToken(tokens).refresh()).token),
    revoke: async (tokens, kind) => await toToken(tokens).revoke(hintOf[kind]),
    verdictOf: (error) =>
      (error as { data?: { payload?: { error?: string } } }).data?.payload?.error
  }
}

async function refused (promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => undefined, (error: unknown) => error)
}

for (const [name, create] of Object.entries(clients)) {
  t.test(`${name} refreshes, learns each verdict by its name, and takes no outage for one`,
    async (t) => {
      const issuer = await startIssuer(t)
      const client = await create(issuer)
      const first = await issuer.open()
      const second = await client.refresh(first)
      t.match(peek(second.refreshToken), { gen: 2 })
      t.match(peek(second.accessToken), { sub: 'ada', client_id: 'app' })
      t.match(await client.refresh(first), { refreshToken: second.refreshToken }, 'a repeat')
      const third = await client.refresh(second)

      issuer.store.isDown = true
      const outage = await refused(client.refresh(third))
      t.ok(outage instanceof Error)
      t.equal(client.verdictOf(outage), undefined, 'an outage is no verdict')
      issuer.store.isDown = false
      const fourth = await client.refresh(third)
      t.match(peek(fourth.refreshToken), { gen: 4 }, 'nothing was spent')

      const other = await issuer.open()
      issuer.clock.pass(minute)
      t.equal(client.verdictOf(await refused(client.refresh(first))), 'invalid_grant', 'reuse')
      t.equal(client.verdictOf(await refused(client.refresh(fourth))), 'invalid_grant', 'over')
      const forged = { accessToken: 'x', refreshToken: 'x' }
      t.equal(client.verdictOf(await refused(client.refresh(forged))), 'invalid_grant')
      t.match(peek((await client.refresh(other)).refreshToken), { gen: 2 }, 'no other session')
    })

  t.test(`${name} revokes by either token`, async (t) => {
    const issuer = await startIssuer(t)
    const client = await create(issuer)
    for (const kind of ['refreshToken', 'accessToken'] as const) {
      const tokens = await issuer.open()
      const keep = await issuer.open()
      issuer.store.isDown = true
      t.ok(await refused(client.revoke(tokens, kind)) instanceof Error, 'an outage is no success')
      issuer.store.isDown = false
      await client.revoke(tokens, kind)
      t.same((await issuer.app().sessions.list('ada')).map(({ sid }) => sid), [keep.sid])
      await client.revoke(tokens, kind)
      t.equal(client.verdictOf(await refused(client.refresh(tokens))), 'invalid_grant')
      await client.revoke(keep, kind)
    }
  })
}

for (const name of ['oauth4webapi', 'openid-client']) {
  t.test(`${name} reads the challenge of the guard`, async (t) => {
    const issuer = await startIssuer(t)
    const { me, refresh } = await clients[name]?.(issuer) as Required<Client>
    const tokens = await issuer.open()
    t.match(await (await me(tokens.accessToken)).json(), { sub: 'ada' })
    issuer.clock.pass(31 * minute)
    t.match(await refused(me(tokens.accessToken)), {
      name: 'WWWAuthenticateChallengeError',
      status: 401,
      cause: [{ scheme: 'bearer', parameters: { error: 'invalid_token' } }]
    })
    t.equal((await me((await refresh(tokens)).accessToken)).status, 200)
  })
}

t.test('the fetch of @badgateway/oauth2-client renews by itself, once for many', async (t) => {
  const { clock, issuer, open, origin } = await startIssuer(t)
  const client = new OAuth2Client({ clientId: 'app', tokenEndpoint: `${issuer}/refresh` })
  const first = { ...await open(), expiresAt: null }
  const stored: string[] = []
  const wrapper = new OAuth2Fetch({
    client,
    getNewToken: () => null,
    getStoredToken: () => first,
    storeToken: ({ refreshToken }) => { stored.push(String(refreshToken)) },
    scheduleRefresh: false
  })
  clock.pass(31 * minute)
  const answers = await Promise.all([1, 2, 3].map(async () => await wrapper.fetch(`${origin}/me`)))
  t.same(answers.map(({ status }) => status), [200, 200, 200])
  t.match(stored.map((token) => peek(token)), [{ gen: 2 }])
  t.equal(stored.length, 1)
})

t.test('a client finds the metadata at the address of RFC 8414, by the route of the page',
  async (t) => {
    const { default: extend } = await recipe<{ default: (fastify: FastifyInstance) => void }>(
      'docs/interop.md', 'oauth-authorization-server',
    (code) => `export default (fastify) => {\n${code}\n}`)
    const { issuer } = await startIssuer(t, undefined, {}, extend)
    const url = new URL(issuer)
    const answer = await oauth.discoveryRequest(url, { ...http, algorithm: 'oauth2' })
    t.match(await oauth.processDiscoveryResponse(url, answer),
      { issuer, token_endpoint: `${issuer}/refresh` })
  })

/** An axios that refreshes by axios-auth-refresh, as an application would have it do so. */
async function withAxios (t: Test) {
  const issuer = await startIssuer(t)
  let tokens: Tokens = await issuer.open()
  let ended = false
  const api = axios.create({ baseURL: issuer.origin })
  api.interceptors.request.use((config: InternalAxiosRequestConfig) => {
    config.headers.set('authorization', `Bearer ${tokens.accessToken}`)
    return config
  })
  createAuthRefresh(api, async () => {
    const form = new URLSearchParams({
      grant_type: 'refresh_token', refresh_token: tokens.refreshToken
    })
    try {
      tokens = toTokens((await axios.post(`${issuer.issuer}/refresh`, form)).data)
    } catch (error) {
      ended = isAxiosError(error) && error.response?.data.error === 'invalid_grant'
      throw error
    }
  }, { deduplicateRefresh: false })
  return { ...issuer, api, generation: () => peek(tokens.refreshToken).gen, ended: () => ended }
}

t.test('axios-auth-refresh renews for five requests at once, and knows an outage from the end',
  async (t) => {
    const { api, app, clock, ended, generation, store } = await withAxios(t)
    clock.pass(31 * minute)
    const answers = await Promise.all([1, 2, 3, 4, 5].map(async () => await api.get('/me')))
    t.same(answers.map(({ status }) => status), [200, 200, 200, 200, 200])
    t.ok(Number(generation()) >= 2, 'by rotations and repeats')

    clock.pass(31 * minute)
    store.isDown = true
    t.match(await refused(api.get('/me')), { response: { status: 503 } })
    t.equal(ended(), false)
    store.isDown = false
    t.equal((await api.get('/me')).status, 200)

    clock.pass(31 * minute)
    await app().sessions.revokeAll('ada')
    t.match(await refused(api.get('/me')), { response: { status: 400 } })
    t.equal(ended(), true)
  })
