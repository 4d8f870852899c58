import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import authPlugin, { type AuthPluginOptions, type Secret } from '../../lib/index'
import { TestClock } from './app'
import { DownStore } from './down-store'

/** The kinds of key pairs, by the algorithm that each signs with. */
export const pairs = {
  EdDSA: () => toSecret(generateKeyPairSync('ed25519')),
  ES256: () => toSecret(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  RS256: () => toSecret(generateKeyPairSync('rsa', { modulusLength: 2048 }))
}

const toSecret = ({ privateKey }: { privateKey: KeyObject }): Secret => ({ private: privateKey })

/** What other software sees of the plugin: a server that it finds by its issuer. */
export interface Issuer {
  issuer: string
  origin: string
  store: DownStore
  /** Begins at the time of this machine, by which other software judges what it verifies. */
  clock: TestClock
  app: () => FastifyInstance
  /** Puts a server with this ring in the place of the one that runs. */
  deploy: (secret: Secret | Secret[]) => Promise<void>
  /** Logs a user in, and returns the tokens. */
  open: () => ReturnType<FastifyInstance['sessions']['open']>
}

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

/** Starts an issuer of complete tokens of RFC 9068, for the audience `orders`. */
export async function startIssuer (
  t: Teardown, secret: Secret | Secret[] = pairs.ES256(),
  options: Partial<AuthPluginOptions> = {}, extend?: (app: FastifyInstance) => void
): Promise<Issuer> {
  let app: FastifyInstance | undefined
  const server = createServer((request, response) => app?.routing(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = `${origin}/auth`
  const clock = new TestClock()
  clock.ms = Date.now()
  const store = new DownStore(clock)

  async function deploy (secret: Secret | Secret[]): Promise<void> {
    await app?.close()
    app = Fastify()
    await app.register(authPlugin, {
      secret,
      store,
      refreshToken: { transports: ['body'] },
      routes: { metadata: true },
      ...options,
      accessToken: options.accessToken?.issuer === undefined
        ? { issuer, audience: 'orders', clientId: 'app', ...options.accessToken }
        : options.accessToken
    })
    app.post('/login', async (_request, reply) => await reply.login({ sub: 'ada' }))
    app.get('/me', { onRequest: app.authenticate }, async ({ user }) => user)
    extend?.(app)
    await app.ready()
  }
  await deploy(secret)
  t.teardown(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
    await app?.close()
  })
  return {
    issuer,
    origin,
    store,
    clock,
    app: () => app as FastifyInstance,
    deploy,
    open: async () => await (app as FastifyInstance).sessions.open({ sub: 'ada' })
  }
}
