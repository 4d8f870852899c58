// The ceiling: the same bytes in and out, and nothing done in between.
import { serve, tokens } from '../serve.mjs'

const token = 'x'.repeat(280)

const start = () => serve(async (app) => {
  const answer = (request, reply) =>
    reply
      .header(
        'set-cookie',
        `__Host-refresh_token=${token}; Max-Age=1209600; Path=/; HttpOnly; Secure; SameSite=Strict`
      )
      .header('cache-control', 'no-store')
      .send(tokens(token))
  app.post('/login', answer)
  app.post('/auth/refresh', answer)
  app.get('/me', async () => ({ sub: 'user00000000' }))
})

export const contenders = {
  'bare Fastify': {
    start,
    login: true,
    authenticate: 'bearer',
    refresh: 'refresh',
    turns: true,
    pages: true,
    forged: 200
  }
}
