import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

async function isFree (port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true))
    )
  })
}

/** Finds a free TCP port of 127.0.0.1, below those that outgoing connections are given. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000)
    if (await isFree(port)) return port
  }
}
