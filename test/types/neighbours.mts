// The package beside other packages' types.
import fastifyAuth from '@fastify/auth'
import { type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { type ZodTypeProvider } from 'fastify-type-provider-zod'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { Type } from 'typebox'
import { z } from 'zod'
import authPlugin, { MemoryStore, RedisStore, type RedisClient } from 'fastify-jwt-sessions'
import { same, type Same } from './same.mjs'

const secret = process.env.AUTH_SECRET ?? ''
const app = Fastify()

// Clients
const clients: RedisClient[] = [
  new Redis(),
  new Cluster([]),
  new Redis5(),
  new Cluster5([]),
  new Valkey(),
  new ValkeyCluster([])
]
await app.register(authPlugin, { secret, redis: new Redis() })
await app.register(authPlugin, { secret, redis: new Cluster([]) })
await app.register(authPlugin, { secret, redis: new Redis5() })
await app.register(authPlugin, { secret, redis: new Valkey() })
for (const client of clients) {
  await app.register(authPlugin, { secret, store: new RedisStore(client) })
}
// @ts-expect-error -- not a client
await app.register(authPlugin, { secret, redis: new Map<string, string>() })

// @fastify/auth
await app.register(fastifyAuth)
app.get(
  '/1',
  {
    preHandler: app.auth(
      [
        app.authenticate,
        async (request) => {
          await request.authenticate({ live: true })
        }
      ],
      { relation: 'or' }
    )
  },
  async () => 1
)
app.get('/2', { preHandler: app.auth([[app.authenticate, app.authenticate]]) }, async () => 2)

// Type providers
const plain: FastifyInstance = app
plain.withTypeProvider<TypeBoxTypeProvider>().get(
  '/3',
  {
    schema: { querystring: Type.Object({ n: Type.Number() }) },
    onRequest: app.authenticate,
    preHandler: [app.authenticate]
  },
  async ({ query, user }) => {
    same<Same<typeof query.n, number>>(true)
    return user
  }
)
app.withTypeProvider<ZodTypeProvider>().post(
  '/4',
  {
    schema: { body: z.object({ n: z.number() }) },
    onRequest: [app.authenticate],
    preHandler: app.auth([app.authenticate])
  },
  async (request, reply) => {
    same<Same<typeof request.body.n, number>>(true)
    await request.authenticate()
    return await reply.login({ sub: 'ada' })
  }
)
const provided = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await provided.register(authPlugin, { secret, store: new MemoryStore() })
provided.get(
  '/5',
  { schema: { params: Type.Object({ id: Type.String() }) }, onRequest: provided.authenticate },
  async ({ params, user }) => {
    same<Same<typeof params.id, string>>(true)
    return user
  }
)
