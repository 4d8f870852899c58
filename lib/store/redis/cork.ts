interface Corkable {
  cork: () => void
  uncork: () => void
}

/** A client with one connection has its socket here; a Cluster has nodes that do. */
export interface Socketed {
  readonly stream?: Corkable
  readonly nodes?: (role: 'all' | 'master') => Socketed[]
}

const most = 64

/**
 * Makes the commands of one turn of the event loop leave in one write for each server: reading them one by one would double
 * its work. A turn can be long where a thousand requests come at once, and a command that waits for its end comes too late:
 * so not all of them.
 */
export function createCork (client: Socketed): () => void {
  let corked: Corkable[] = []
  let commands = 0

  function uncork (): void {
    for (const stream of corked) stream.uncork()
    corked = []
  }

  return () => {
    if (commands++ % most === 0) {
      uncork()
      corked = (client.nodes?.('master') ?? [client]).flatMap(({ stream }) => stream ?? [])
      for (const stream of corked) stream.cork()
    }
    if (commands > 1) return
    setImmediate(() => {
      commands = 0
      uncork()
    })
  }
}
