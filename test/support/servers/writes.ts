import type { Cluster, Redis } from 'ioredis'

/** Counts how often a client writes to its sockets while something is done. */
export async function writes (
  client: Redis | Cluster,
  act: () => Promise<unknown>
): Promise<number> {
  let count = 0
  const streams = ('nodes' in client ? client.nodes('master') : [client]).map(
    ({ stream }) => stream
  )
  const counted = streams.map((stream) => {
    const original = { _write: stream._write, _writev: stream._writev }
    for (const [name, write] of Object.entries(original)) {
      Object.assign(stream, {
        [name]: (...args: unknown[]) => {
          count++
          Reflect.apply(write as () => void, stream, args)
        }
      })
    }
    return { stream, original }
  })
  await act()
  for (const { stream, original } of counted) Object.assign(stream, original)
  return count
}
