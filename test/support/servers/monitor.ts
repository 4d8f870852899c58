import { randomUUID } from 'node:crypto'
import type { RedisServer } from './redis'

// What a client says on its own account when it connects.
const handshake = new Set(['info', 'client', 'hello', 'auth', 'select'])

/** Watches the commands that clients send to a server, not those that scripts call inside it. */
export interface Monitor {
  /**
   * The commands since the last call, as arrays of name and arguments; all that were answered
   * before the call are among them.
   */
  flush (): Promise<string[][]>
}

/** Starts to watch; the server's `stop` ends it. */
export async function monitor (server: RedisServer): Promise<Monitor> {
  const marking = server.client()
  const watching = server.track(await server.client().monitor())
  let lines: string[][] = []
  let marker = ''
  let reached = () => {}
  watching.on('monitor', (_time: string, args: string[], source: string) => {
    if (args[1] === marker) return reached()
    if (source !== 'lua' && !handshake.has(String(args[0]).toLowerCase())) lines.push(args)
  })
  return {
    async flush () {
      const seen = new Promise<void>((resolve) => { reached = resolve })
      marker = randomUUID()
      await marking.echo(marker)
      await seen
      const flushed = lines
      lines = []
      return flushed
    }
  }
}
