// oidc-provider's refresh grant with rotation, its state in Redis; a route of ours stands for the
// login pages.
import { Redis } from 'ioredis'
import { createServer } from 'node:http'
import { once } from 'node:events'
import Provider from 'oidc-provider'
import { idleLifetime } from '../serve.mjs'

/**
 * The adapter that oidc-provider asks for: a hash for each thing, a list of the keys of each grant.
 */
const adapter = (redis) => class {
  constructor (model) { this.model = model }
  key (id) { return `oidc:${this.model}:${id}` }

  async upsert (id, payload, expiresIn) {
    const key = this.key(id)
    const multi = redis
      .multi()
      .hset(key, { payload: JSON.stringify(payload) })
      .expire(key, expiresIn)
    if (payload.grantId) {
      multi
        .rpush(`oidc:grant:${payload.grantId}`, key)
        .expire(`oidc:grant:${payload.grantId}`, expiresIn)
    }
    await multi.exec()
  }

  async find (id) {
    const { payload, consumed } = await redis.hgetall(this.key(id))
    return payload && { ...JSON.parse(payload), ...(consumed && { consumed: Number(consumed) }) }
  }

  async consume (id) { await redis.hset(this.key(id), 'consumed', Math.floor(Date.now() / 1000)) }
  async destroy (id) { await redis.del(this.key(id)) }

  async revokeByGrantId (id) {
    const keys = await redis.lrange(`oidc:grant:${id}`, 0, -1)
    await redis.del(`oidc:grant:${id}`, ...keys)
  }
}

async function start (port) {
  const provider = new Provider('http://127.0.0.1', {
    adapter: adapter(new Redis({ port })),
    clients: [{
      client_id: 'app',
      client_secret: 'secret-of-the-benchmark',
      redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_post'
    }],
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    ttl: { AccessToken: 1800, RefreshToken: idleLifetime, Grant: idleLifetime }
  })
  const client = await provider.Client.find('app')
  const login = async (request, response) => {
    const { sub } = JSON.parse((await request.toArray()).join(''))
    const grant = new provider.Grant({ accountId: sub, clientId: 'app' })
    grant.addOIDCScope('openid offline_access')
    const grantId = await grant.save()
    const scope = 'offline_access'
    const token = new provider.RefreshToken({
      accountId: sub,
      client,
      grantId,
      scope,
      gty: 'authorization_code',
      expiresWithSession: false
    })
    const body = JSON.stringify({ refresh_token: await token.save() })
    response.setHeader('content-length', body.length).end(body)
  }
  const callback = provider.callback()
  const server = createServer((request, response) =>
    request.url === '/login' ? login(request, response) : callback(request, response)
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server.address().port
}

export const contenders = {
  'oidc-provider': { start, refresh: 'grant' }
}
