import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What becomes of one request: for each copy of it that arrives, how late it does, and how late its
 * answer (`undefined`: never).
 */
export type Passage = { late: number, back: number | undefined }[]

export interface Lossy {
  origin: string
  /**
   * Whether so many requests with this value of the header `x-user` have come by, and nothing of
   * them is on its way any more.
   */
  isQuiet: (user: string, sent: number) => boolean
}

/**
 * Starts an HTTP proxy that loses, delays, doubles and reorders; `fate` decides for each request.
 * It stops when the test `t` does.
 */
export async function lossyFor (
  t: { teardown(f: () => unknown): unknown },
  origin: string,
  fate: (request: IncomingMessage) => Passage
): Promise<Lossy> {
  const received = new Map<string, number>()
  const underWay = new Map<string, number>()
  const proxy = createServer((incoming, outgoing) => {
    incoming.resume()
    const user = String(incoming.headers['x-user'])
    received.set(user, (received.get(user) ?? 0) + 1)
    const count = (by: number) => {
      underWay.set(user, (underWay.get(user) ?? 0) + by)
    }
    count(0)
    for (const { late, back } of fate(incoming)) {
      count(1)
      setTimeout(() => {
        forward(origin, incoming, back, outgoing).finally(() => {
          count(-1)
        })
      }, late)
    }
  })
  t.teardown(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    isQuiet: (user, sent) => received.get(user) === sent && underWay.get(user) === 0
  }
}

async function forward (
  origin: string,
  { method, url, headers }: IncomingMessage,
  back: number | undefined,
  outgoing: ServerResponse
): Promise<void> {
  const onward = request(origin + String(url), { method, headers })
  const closed = new Promise<void>((resolve) => onward.once('close', resolve))
  // The application has gone: nobody answers.
  onward.on('error', () => {})
  onward.on('response', (answer) => {
    const chunks: Buffer[] = []
    answer.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
    })
    answer.on('end', () => {
      if (back === undefined) return
      setTimeout(() => {
        if (outgoing.headersSent || outgoing.destroyed) return
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(Buffer.concat(chunks))
      }, back)
    })
  })
  onward.end()
  await closed
}
