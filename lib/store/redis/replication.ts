import type { Replication } from '../store'

/** The pipeline of an ioredis-compatible client, as far as it is used here. */
interface Pipeline {
  eval: (lua: string, keys: number, ...args: string[]) => Pipeline
  wait: (replicas: number, within: number) => Pipeline
  exec: () => Promise<unknown>
}

type Answer = [error: Error | null, reply: unknown]

interface Connection {
  pipeline: () => Pipeline
  disconnect: () => void
  on: (event: 'error', listener: () => void) => unknown
}

// Ends again what has ended, should the server have lost it since, and writes something in any case: WAIT waits for the
// connection's own last write. KEYS: the user's hash. ARGV: sid…
const lua = `
for _, sid in ipairs(ARGV) do redis.call('HDEL', KEYS[1], sid) end
redis.call('HSET', KEYS[1], '', '')
redis.call('HDEL', KEYS[1], '')`

// Each holds its connection for as long as it waits: while replicas are away, a queue of them would only grow.
const most = 100

/** Hears from replicas on a connection of its own, opened when it is first needed: WAIT keeps a connection from everyone else. */
export function createReplication (client: { duplicate: (...args: never[]) => unknown }, keyOf: (user: string) => string): Replication {
  let connection: Connection | undefined
  let waiting = 0

  function connect (): Connection {
    const own = client.duplicate() as Connection
    // Whatever is wrong with it, nobody confirms anything.
    own.on('error', () => {})
    return own
  }

  return {
    confirm: async (ended, replicas, within) => {
      if (waiting >= most) return 0
      waiting++
      try {
        connection ??= connect()
        const pipeline = ended.reduce((pipeline, { userTag, sids }) => pipeline.eval(lua, 1, keyOf(userTag), ...sids), connection.pipeline()).wait(replicas, within)
        const [[refused], [failed, confirmed]] = await pipeline.exec() as [Answer, Answer]
        return refused || failed ? 0 : Number(confirmed)
      } finally {
        waiting--
      }
    },
    close: () => { connection?.disconnect() }
  }
}
