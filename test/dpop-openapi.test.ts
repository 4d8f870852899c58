import fastifySwagger from '@fastify/swagger'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import authPlugin, { MemoryStore, type AuthPluginOptions } from '../lib/index'
import { secret } from './support/app'

interface Document {
  paths: Record<string, object>
  components: object
}

/** Returns what @fastify/swagger makes of the plugin's routes. */
async function documentOf (
  t: Test, refreshToken: AuthPluginOptions['refreshToken'], bound = false
): Promise<Document> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(fastifySwagger, { openapi: { info: { title: 'test', version: '1' } } })
  const store = new MemoryStore()
  await app.register(authPlugin, { secret, store, accessToken: { bound }, refreshToken })
  await app.ready()
  return app.swagger() as unknown as Document
}

const codes = 'DPOP_PROOF_MISSING, DPOP_PROOF_INVALID, DPOP_NONCE_REQUIRED'

t.test('OpenAPI has the proof, its refusals, and both schemes of access tokens', async (t) => {
  const { paths, components } = await documentOf(t, { bindings: ['dpop'], paired: true }, true)
  const tokens = { schema: { properties: { token_type: { enum: ['Bearer', 'DPoP'] } } } }
  const parameters = [{ in: 'header', name: 'DPoP', required: false }]
  t.match(paths['/auth/refresh'], {
    post: {
      parameters,
      security: [
        { refreshToken: [], accessToken: [] }, { refreshToken: [], boundAccessToken: [] }
      ],
      responses: {
        200: { content: { 'application/json': tokens } },
        400: { description: codes },
        401: { description: /REFRESH_TOKEN_UNPROVEN/ }
      }
    }
  })
  t.match(paths['/auth/logout'], { post: { parameters } })
  t.match(components, { securitySchemes: { boundAccessToken: { type: 'http', scheme: 'dpop' } } })
})

t.test('by body there is a verdict on forms beside it', async (t) => {
  const { paths, components } = await documentOf(t, { bindings: ['dpop'], transports: ['body'] })
  t.match(paths['/auth/refresh'], {
    post: { responses: { 400: { description: `${codes}; The verdict, in answer to a form` } } }
  })
  t.match(components, { securitySchemes: { boundAccessToken: undefined } })
})

t.test('browsers that prove by themselves have another refusal', async (t) => {
  const { paths } = await documentOf(t, { bindings: ['dbsc'] })
  t.match(paths['/auth/refresh'], {
    post: {
      parameters: undefined,
      responses: {
        400: undefined,
        401: { description: /REFRESH_TOKEN_UNPROVEN/ },
        503: { description: 'PROOF_UNAVAILABLE, STORE_UNAVAILABLE' }
      }
    }
  })
})
