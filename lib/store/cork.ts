interface Corkable {
  cork: () => void
  uncork: () => void
}

/** A client with one connection has its socket here; a Cluster has several, and none here. */
export interface Socketed {
  readonly stream?: Corkable
}

const most = 64

/**
 * Makes the commands of one turn of the event loop leave in one write: reading them one by one would double the server's work.
 * A turn can be long where a thousand requests come at once, and a command that waits for its end comes too late: so not all of them.
 */
export function createCork (client: Socketed): () => void {
  let corked: { stream: Corkable, commands: number } | undefined
  return () => {
    const { stream } = client
    if (stream === undefined) return
    if (corked === undefined) {
      corked = { stream, commands: 1 }
      stream.cork()
      setImmediate(() => {
        corked = undefined
        stream.uncork()
      })
    } else if (++corked.commands % most === 0) {
      corked.stream.uncork()
      corked.stream.cork()
    }
  }
}
