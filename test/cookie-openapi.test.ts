import fastifySwagger from '@fastify/swagger'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../lib/index'
import { secret } from './support/app'

interface Document {
  paths: Record<string, {
    post: {
      security: object[]
      responses: Record<string, { content: Record<string, { schema: Schema }> }>
    }
  }>
  components: { securitySchemes: Record<string, object> }
}

interface Schema {
  required: string[]
  properties: Record<string, object>
}

/** Returns what @fastify/swagger makes of the plugin's routes. */
async function documentOf (t: Test, options: Partial<AuthPluginOptions>): Promise<Document> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(fastifySwagger, { openapi: { info: { title: 'test', version: '1' } } })
  await app.register(authPlugin, { secret, store: new MemoryStore(), ...options })
  await app.ready()
  return app.swagger() as unknown as Document
}

const tokensOf = ({ paths }: Document): Schema | undefined =>
  paths['/auth/refresh']?.post.responses['200']?.content['application/json']?.schema

t.test('OpenAPI names the cookies of cookie mode, and the logout takes either', async (t) => {
  const document = await documentOf(t, { accessToken: { cookie: true } })
  t.match(document.components.securitySchemes, {
    accessCookie: { type: 'apiKey', in: 'cookie', name: '__Host-access_token' },
    refreshToken: { type: 'apiKey', in: 'cookie', name: '__Host-refresh_token' }
  })
  t.same(document.paths['/auth/refresh']?.post.security, [{ refreshToken: [] }])
  t.same(document.paths['/auth/logout']?.post.security, [
    { refreshToken: [] }, { accessToken: [] }, { accessCookie: [] }, {}
  ])
  const tokens = tokensOf(document)
  t.same(tokens?.required, ['expires_in'])
  t.same(Object.keys(tokens?.properties ?? {}), ['expires_in'])
})

t.test('an access cookie of another name is documented by that name', async (t) => {
  const { components } = await documentOf(t, {
    accessToken: { cookie: { name: 'pass', secure: false } }
  })
  t.match(components.securitySchemes, { accessCookie: { name: 'pass' } })
})

t.test('with bodies beside cookies a response may have the tokens', async (t) => {
  const document = await documentOf(t, {
    accessToken: { cookie: true }, refreshToken: { transports: ['cookie', 'body'] }
  })
  const tokens = tokensOf(document)
  t.same(tokens?.required, ['expires_in'])
  t.match(tokens?.properties, { access_token: {}, refresh_token: {}, expires_in: {} })
})

t.test('without cookie mode there is no such scheme', async (t) => {
  const { components, paths } = await documentOf(t, {})
  t.notOk('accessCookie' in components.securitySchemes)
  t.same(paths['/auth/logout']?.post.security, [{ refreshToken: [] }, { accessToken: [] }, {}])
})
