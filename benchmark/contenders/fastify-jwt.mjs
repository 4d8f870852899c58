// @fastify/jwt as its README has it.
import fastifyJwt from '@fastify/jwt'
import { generateKeyPairSync } from 'node:crypto'
import { secret, serve, tokens } from '../serve.mjs'

const start = ({ algorithm, cache }) => () => serve(async (app) => {
  const pair = () => generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' }
  })
  const { privateKey, publicKey } = algorithm === 'EdDSA' ? pair() : {}
  await app.register(fastifyJwt, {
    secret: publicKey ? { private: privateKey, public: publicKey } : secret,
    sign: { algorithm, expiresIn: '30m' },
    verify: { cache }
  })
  app.post('/login', async (request) => tokens(app.jwt.sign({ sub: request.body.sub })))
  app.get('/me', { onRequest: (request) => request.jwtVerify() }, async (request) => ({
    sub: request.user.sub
  }))
})

export const contenders = Object.fromEntries(
  ['HS256', 'EdDSA'].flatMap((algorithm) =>
    [false, true].map((cache) => [
      `@fastify/jwt ${algorithm}${cache ? ', cache' : ''}`,
      { start: start({ algorithm, cache }), authenticate: 'bearer' }
    ])
  )
)
