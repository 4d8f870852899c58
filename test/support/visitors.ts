import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type OutgoingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'

type Teardown = { teardown: (done: () => unknown) => unknown }

/** What a client has been answered. */
export interface Visited {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** Set-Cookie lines. */
  cookies: string[]
  body: string
}

/** Asks for a path with a Cookie header. */
export type Visit = (
  path: string, cookie: string, headers?: OutgoingHttpHeaders
) => Promise<Visited>

/** Listens on a port, and returns what visits the application over the wire. */
export async function visitorsOf (
  t: Teardown, app: FastifyInstance, version: 'HTTP/1' | 'HTTP/2' = 'HTTP/1'
): Promise<Visit> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  if (version === 'HTTP/1') {
    return async (path, cookie, headers) => {
      const sent = request({ port, path, agent: false, headers: { cookie, ...headers } }).end()
      const [response] = await once(sent, 'response')
      const { statusCode = 0, headers: received } = response
      const cookies = received['set-cookie'] ?? []
      return { status: statusCode, headers: received, cookies, body: await text(response) }
    }
  }
  const session = connect(`http://127.0.0.1:${port}`)
  t.teardown(() => { session.destroy() })
  return async (path, cookie, headers) => {
    const stream = session.request({ ':path': path, cookie, ...headers })
    const [received] = await once(stream, 'response')
    const cookies = received['set-cookie'] ?? []
    return { status: received[':status'], headers: received, cookies, body: await text(stream) }
  }
}
