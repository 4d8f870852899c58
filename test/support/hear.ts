import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'

/**
 * Opens a WebSocket of an application that listens on a port, and returns the first message; not
 * by `injectWS`, which loses a message that comes in one piece with the handshake.
 * @throws with the status that the handshake was refused with
 */
export async function hear (
  app: FastifyInstance, path: string, headers: Record<string, string>, protocols: string[] = []
): Promise<string> {
  const { port } = app.server.address() as AddressInfo
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers })
  const [message] = await once(socket, 'message')
  socket.terminate()
  return String(message)
}
