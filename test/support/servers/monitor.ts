import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
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

// Such as: +1795946426.653826 [0 unix:/tmp/s.sock] "get" "key"
const pattern = /^\+[\d.]+ \[\d+ ([^\]]*)\] "(.*)"$/

/**
 * Starts to watch; the server's `stop` ends it. Over a socket of its own: a client of ioredis takes
 * a line that comes in one piece with the answer to MONITOR for an error.
 */
export async function monitor (server: RedisServer): Promise<Monitor> {
  const marking = server.client()
  const socket = connect(server.path).on('error', () => {})
  server.track({ disconnect: () => { socket.destroy() } })
  let lines: string[][] = []
  let marker = ''
  let reached = () => {}
  const started = new Promise<void>((resolve) => {
    createInterface({ input: socket }).on('line', (line) => {
      if (line === '+OK') return resolve()
      const [, source, text = ''] = pattern.exec(line) ?? []
      const args = text.split('" "').map((arg) => arg.replace(/\\"/g, '"'))
      if (args[1] === marker) return reached()
      if (source !== 'lua' && !handshake.has(String(args[0]).toLowerCase())) lines.push(args)
    })
  })
  socket.write('MONITOR\r\n')
  await started
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
