import type { IncomingMessage } from 'node:http'
import { auth } from 'express-oauth2-jwt-bearer'
import { createVerifier } from 'fast-jwt'
import buildGetJwks from 'get-jwks'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import jwksRsa from 'jwks-rsa'
import * as oauth from 'oauth4webapi'
import passportJwt from 'passport-jwt'
import t from 'tap'
import helpers from './support/app.js'
import issuers from './support/issuer.js'
import recipes from './support/recipe.js'

const { second } = helpers
const { recipe } = recipes
const { pairs, startIssuer } = issuers
type Algorithm = keyof typeof pairs

/** Returns what a token says; rejects if it is not to be trusted. */
type Verify = (token: string) => Promise<object>

interface Verifier {
  /** The kinds of keys that the package can verify with. */
  algorithms: Algorithm[]
  /** Creates a verifier that is told an issuer and an audience, and finds the rest by itself. */
  create: (issuer: string) => Promise<Verify>
}

const audience = 'orders'
const all: Algorithm[] = ['EdDSA', 'ES256', 'RS256']
const http = { [oauth.allowInsecureRequests]: true }

/** For packages that want the address of the keys: what their users write. */
async function jwksUriOf (issuer: string): Promise<string> {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  return (await response.json() as { jwks_uri: string }).jwks_uri
}

const verifiers: Record<string, Verifier> = {
  jose: {
    algorithms: all,
    create: async (issuer) => {
      const keys = createRemoteJWKSet(new URL(await jwksUriOf(issuer)))
      const options = { issuer, audience, typ: 'at+jwt' }
      return async (token) => (await jwtVerify(token, keys, options)).payload
    }
  },
  'validateJwtAccessToken of oauth4webapi': {
    algorithms: all,
    create: async (issuer) => {
      const url = new URL(issuer)
      const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, http))
      return async (token) => {
        const request = new Request('https://orders.example.com/', { headers: bearer(token) })
        return await oauth.validateJwtAccessToken(as, request, audience, http)
      }
    }
  },
  'fast-jwt with getPublicKey of get-jwks': {
    // It makes a PEM of the key, which it cannot do of an Ed25519 key.
    algorithms: ['ES256', 'RS256'],
    create: async (issuer) => {
      const getJwks = buildGetJwks({ providerDiscovery: true })
      return createVerifier({
        key: async ({ header: { alg, kid } }: { header: Record<string, string> }) =>
          await getJwks.getPublicKey({ domain: issuer, alg, kid }),
        allowedIss: issuer,
        allowedAud: audience,
        checkTyp: 'at+jwt'
      })
    }
  },
  'fast-jwt with getJwk of get-jwks': {
    algorithms: all,
    create: async (issuer) => {
      const { verify } = await recipe<{ verify: Verify }>('docs/interop.md', 'getJwks.getJwk',
        (code) => code.replace('https://login.example.com/auth', issuer))
      return verify
    }
  },
  'express-oauth2-jwt-bearer, strict': {
    algorithms: all,
    create: async (issuer) => {
      const handle = auth({ issuerBaseURL: issuer, audience, strict: true })
      return async (token) => await new Promise((resolve, reject) => {
        // What it uses of a request of Express.
        const request = {
          headers: bearer(token),
          is: () => false,
          query: {},
          method: 'GET',
          protocol: 'https',
          get: () => 'orders.example.com',
          originalUrl: '/'
        } as unknown as Parameters<typeof handle>[0] & { auth: { payload: object } }
        handle(request, {} as never, (error?: unknown) => {
          if (error === undefined) resolve(request.auth.payload)
          else reject(error)
        })
      })
    }
  },
  'passport-jwt with jwks-rsa': {
    // The library below knows no EdDSA.
    algorithms: ['ES256', 'RS256'],
    create: async (issuer) => {
      const { Strategy, ExtractJwt } = passportJwt
      const options = {
        issuer,
        audience,
        algorithms: ['ES256', 'RS256'],
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
        secretOrKeyProvider:
          jwksRsa.passportJwtSecret({ jwksUri: await jwksUriOf(issuer), cache: true })
      }
      return async (token) => await new Promise((resolve, reject) => {
        const strategy = new Strategy(options, (claims, done) => done(null, claims))
        const request = { headers: bearer(token) } as Pick<IncomingMessage, 'headers'>
        Object.assign(strategy, { success: resolve, fail: reject, error: reject })
        strategy.authenticate(request)
      })
    }
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

for (const [name, { algorithms, create }] of Object.entries(verifiers)) {
  t.test(`${name} verifies by the issuer`, async (t) => {
    for (const algorithm of algorithms) {
      const { issuer, open } = await startIssuer(t, pairs[algorithm]())
      const verify = await create(issuer)
      const { accessToken, refreshToken, sid } = await open()
      t.match(await verify(accessToken), { sub: 'ada', sid, client_id: 'app' }, algorithm)
      await t.rejects(verify(refreshToken), `${algorithm}: no refresh token`)

      const stranger = await startIssuer(t, pairs[algorithm](), {
        accessToken: { issuer, audience, clientId: 'app' }, routes: {}
      })
      await t.rejects(verify((await stranger.open()).accessToken), `${algorithm}: no other key`)
      const [head, , signature] = accessToken.split('.')
      const [, other] = (await stranger.open()).accessToken.split('.')
      await t.rejects(verify(`${head}.${other}.${signature}`), `${algorithm}: no other claims`)
    }
  })

  t.test(`${name} verifies for its own issuer and audience, and until a token expires`,
    async (t) => {
      const secret = pairs.ES256()
      const server = await startIssuer(t, secret)
      const verify = await create(server.issuer)
      // A first one, so that the keys are there.
      t.match(await verify((await server.open()).accessToken), { aud: audience })
      const tokenOf = async (accessToken: object): Promise<string> => {
        const { open } =
          await startIssuer(t, secret, { accessToken: { ...own, ...accessToken }, routes: {} })
        return (await open()).accessToken
      }
      const own = { issuer: server.issuer, audience, clientId: 'app' }
      t.match(await verify(await tokenOf({})), { sub: 'ada' })
      await t.rejects(verify(await tokenOf({ audience: 'invoices' })))
      await t.rejects(verify(await tokenOf({ issuer: `${server.issuer}/x` })))
      server.clock.pass(-7200 * second)
      await t.rejects(verify((await server.open()).accessToken), 'expired')
    })

  t.test(`${name} goes on when keys are rotated in two steps`, async (t) => {
    const [algorithm = 'ES256'] = algorithms
    const [old, next] = [pairs[algorithm](), pairs[algorithm]()]
    const { deploy, issuer, open } = await startIssuer(t, old)
    const before = (await open()).accessToken
    await deploy([old, next])
    const verify = await create(issuer)
    t.match(await verify(before), { sub: 'ada' })
    await deploy([next, old])
    const after = (await open()).accessToken
    t.match(await verify(after), { sub: 'ada' }, 'signed by the next key')
    t.match(await verify(before), { sub: 'ada' })
    await deploy(next)
    t.match(await verify(after), { sub: 'ada' })
    const afresh = await create(issuer)
    t.match(await afresh(after), { sub: 'ada' })
    await t.rejects(afresh(before), 'signed by a key that is gone')
  })
}

for (const [name, { algorithms, create }] of Object.entries(verifiers)) {
  const unknown = all.filter((algorithm) => !algorithms.includes(algorithm))
  if (unknown.length === 0) continue
  t.test(`${name} does not know ${unknown}, as docs/interop.md has it`, async (t) => {
    for (const algorithm of unknown) {
      const { issuer, open } = await startIssuer(t, pairs[algorithm]())
      const verify = await create(issuer)
      const error = await verify((await open()).accessToken).then(() => undefined, (e: Error) => e)
      const { originalError = error } = error as Error & { originalError?: Error }
      t.match(originalError?.message, /Unsupported key type|invalid algorithm/)
    }
  })
}

t.test('those that hold tokens to RFC 9068 want accessToken.clientId', async (t) => {
  const strict = ['validateJwtAccessToken of oauth4webapi', 'express-oauth2-jwt-bearer, strict']
  for (const name of strict) {
    const secret = pairs.ES256()
    const complete = await startIssuer(t, secret)
    const { issuer } = complete
    const verify = await verifiers[name]?.create(issuer) as Verify
    const { open } = await startIssuer(t, secret, { accessToken: { issuer, audience }, routes: {} })
    await t.rejects(verify((await open()).accessToken), name)
    t.match(await verify((await complete.open()).accessToken), { client_id: 'app', jti: /^.{22}$/ })
  }
})
