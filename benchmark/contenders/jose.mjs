// jose in a hook, the way that an application without a plugin would do it.
import { SignJWT, generateKeyPair, jwtVerify } from 'jose'
import { secret, serve, tokens } from '../serve.mjs'

const start = (alg) => () => serve(async (app) => {
  const symmetric = new TextEncoder().encode(secret)
  const { privateKey, publicKey } = alg === 'HS256'
    ? { privateKey: symmetric, publicKey: symmetric }
    : await generateKeyPair(alg)
  app.post('/login', async (request) =>
    tokens(
      await new SignJWT()
        .setSubject(request.body.sub)
        .setProtectedHeader({ alg })
        .setIssuedAt()
        .setExpirationTime('30m')
        .sign(privateKey)
    )
  )
  app.decorateRequest('user', null)
  const onRequest = async (request, reply) => {
    try {
      request.user = (await jwtVerify(request.headers.authorization.slice(7), publicKey)).payload
    } catch {
      return reply.code(401).send({ error: 'Unauthorized' })
    }
  }
  app.get('/me', { onRequest }, async (request) => ({ sub: request.user.sub }))
})

export const contenders = Object.fromEntries(['HS256', 'EdDSA'].map((alg) => [
  `jose ${alg}`, { start: start(alg), authenticate: 'bearer' }
]))
