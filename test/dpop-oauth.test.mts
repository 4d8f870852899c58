import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { calculateThumbprint, generateKeyPair, generateProof, type KeyPair } from 'dpop'
import { auth } from 'express-oauth2-jwt-bearer'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import t, { type Test } from 'tap'
import helpers from './support/app.js'
import issuers from './support/issuer.js'

const { minute, peek } = helpers
const { pairs, startIssuer } = issuers
type Issuer = Awaited<ReturnType<typeof startIssuer>>

interface Tokens {
  access_token: string
  token_type: string
  refresh_token?: string
}

/** A client that somebody else wrote, with a key of its own. */
interface Client {
  /** Refreshes, and repeats once if it is told to, as its documentation says. */
  refresh: (refreshToken: string) => Promise<Tokens>
  /** Calls a URL with a bound access token, likewise. */
  get: (accessToken: string, url: URL) => Promise<Response>
  /** Returns what the package says that went wrong with a refresh. */
  verdictOf: (error: unknown) => string | undefined
}

const http = { [oauth.allowInsecureRequests]: true }

/** Repeats a step once if the server wants a nonce, which the package has kept. */
async function withNonce<T> (step: () => Promise<T>): Promise<T> {
  return await step().catch(async (error: unknown) => {
    if (!oauth.isDPoPNonceError(error)) throw error
    return await step()
  })
}

const clients: Record<string, (issuer: Issuer, pair: KeyPair) => Promise<Client>> = {
  oauth4webapi: async ({ issuer }, pair) => {
    const url = new URL(issuer)
    const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, http))
    const app: oauth.Client = { client_id: 'app' }
    const options = { ...http, DPoP: oauth.DPoP(app, pair) }
    return {
      refresh: async (refreshToken) => await withNonce(async () => {
        const answer =
          await oauth.refreshTokenGrantRequest(as, app, oauth.None(), refreshToken, options)
        return await oauth.processRefreshTokenResponse(as, app, answer) as Tokens
      }),
      get: async (accessToken, url) => await withNonce(async () =>
        await oauth.protectedResourceRequest(accessToken, 'GET', url, undefined, null, options)),
      verdictOf: (error) => error instanceof oauth.ResponseBodyError ? error.error : undefined
    }
  },
  'openid-client': async ({ issuer }, pair) => {
    const config = await openid.discovery(new URL(issuer), 'app', undefined, openid.None(),
      { execute: [openid.allowInsecureRequests] })
    const options = { DPoP: openid.getDPoPHandle(config, pair) }
    return {
      refresh: async (refreshToken) =>
        await openid.refreshTokenGrant(config, refreshToken, undefined, options) as Tokens,
      get: async (accessToken, url) => await openid.fetchProtectedResource(
        config, accessToken, url, 'GET', undefined, undefined, options),
      verdictOf: (error) => error instanceof openid.ResponseBodyError ? error.error : undefined
    }
  }
}

/** Starts an issuer, and logs in with a proof that the dpop package makes. */
async function start (t: Test, bound: boolean) {
  const issuer = await startIssuer(t, pairs.ES256(), {
    accessToken: { bound }, refreshToken: { transports: ['body'], bindings: ['dpop'] }
  })
  const pair = await generateKeyPair('ES256')
  const url = `${issuer.origin}/login`
  const login = async (): Promise<Tokens> => {
    const headers = { dpop: await generateProof(pair, url, 'POST') }
    return await (await fetch(url, { method: 'POST', headers })).json() as Tokens
  }
  return { issuer, pair, login }
}

const refreshTokenOf = ({ refresh_token: token }: Tokens): string => String(token)

for (const [name, create] of Object.entries(clients)) {
  t.test(`${name} refreshes a bound session, and learns each verdict by its name`, async (t) => {
    const { issuer, pair, login } = await start(t, false)
    const client = await create(issuer, pair)
    const jkt = await calculateThumbprint(pair.publicKey)
    let tokens = await login()
    t.match(peek(refreshTokenOf(tokens)), { cnf: { jkt } })
    for (const generation of [2, 3]) {
      tokens = await client.refresh(refreshTokenOf(tokens))
      t.match(peek(refreshTokenOf(tokens)), { gen: generation, cnf: { jkt } })
      t.match(tokens.token_type, /^bearer$/i)
      issuer.clock.pass(6 * minute)
    }
    const thief = await create(issuer, await generateKeyPair('ES256'))
    const error = await thief.refresh(refreshTokenOf(tokens)).catch((error: unknown) => error)
    t.equal(thief.verdictOf(error), 'invalid_grant')
    const bare = await fetch(`${issuer.issuer}/refresh`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token', refresh_token: refreshTokenOf(tokens)
      })
    })
    t.match(await bare.json(), { error: 'invalid_dpop_proof' })
    t.ok(await client.refresh(refreshTokenOf(tokens)), 'nothing has changed')
  })

  t.test(`${name} presents a bound access token, here and at a second service`, async (t) => {
    const { issuer, pair, login } = await start(t, true)
    const client = await create(issuer, pair)
    const first = await login()
    t.equal(first.token_type, 'DPoP')
    const { access_token: accessToken, token_type: type } =
      await client.refresh(refreshTokenOf(first))
    t.match(type, /^dpop$/i)
    const me = new URL('/me', issuer.origin)
    const cnf = { jkt: await calculateThumbprint(pair.publicKey) }
    for (let i = 0; i < 3; i++) {
      const response = await client.get(accessToken, me)
      t.match(await response.json(), { sub: 'ada', cnf })
      issuer.clock.pass(6 * minute)
    }
    const thief = await create(issuer, await generateKeyPair('ES256'))
    for (const verify of Object.values(services)) {
      const orders = await serveOrders(t, issuer, verify)
      const url = new URL('/orders/7', orders)
      t.match(await (await client.get(accessToken, url)).json(), { sub: 'ada', cnf })
      const refused = await thief.get(accessToken, url).catch(() => ({ status: 401 }))
      t.equal(refused.status, 401)
      const headers = { authorization: `Bearer ${accessToken}` }
      t.equal((await fetch(url, { headers })).status, 401, 'as Bearer')
    }
  })
}

/** Returns what a token says; rejects if it is not to be trusted. */
type Verify = (request: IncomingMessage, origin: string) => Promise<object>

interface Orders extends IncomingMessage {
  auth: { payload: object }
}

/** Services that somebody else's package guards, and that know an issuer only. */
const services: Record<string, (issuer: string) => Promise<Verify>> = {
  'validateJwtAccessToken of oauth4webapi': async (issuer) => {
    const url = new URL(issuer)
    const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, http))
    return async ({ url = '/', headers: sent }, origin) => {
      const headers = sent as Record<string, string>
      const request = new Request(new URL(url, origin), { headers })
      const options = { ...http, requireDPoP: true }
      return await oauth.validateJwtAccessToken(as, request, 'orders', options)
    }
  },
  'express-oauth2-jwt-bearer': async (issuerBaseURL) => {
    const handle = auth({ issuerBaseURL, audience: 'orders', strict: true })
    return async (incoming, origin) => await new Promise((resolve, reject) => {
      // What it uses of a request and a response of Express.
      const request = Object.assign(incoming, {
        is: () => false,
        query: {},
        protocol: 'http',
        get: (name: string) => name.toLowerCase() === 'host' ? new URL(origin).host : undefined,
        originalUrl: incoming.url
      })
      const response = { setHeader: () => {}, set: () => {} } as never
      handle(request as never, response, (error?: unknown) => {
        if (error === undefined) resolve((incoming as Orders).auth.payload)
        else reject(error)
      })
    })
  }
}

async function serveOrders (
  t: Test, { issuer }: Issuer, create: (issuer: string) => Promise<Verify>
): Promise<string> {
  const verify = await create(issuer)
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo
    verify(request, `http://127.0.0.1:${port}`).then(
      (claims) => response.end(JSON.stringify(claims)),
      () => { response.writeHead(401).end() })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
