const most = 64

/**
 * Gathers what is asked for in one turn of the event loop, and sends it at the turn's end as one command: that costs the
 * server and this process a fraction of one command each. A turn can be long where a thousand requests come at once, and
 * what waits for its end comes too late: so not all of them go together.
 */
export function createBatch<Item, Answer> (
  send: (items: Item[]) => Promise<Array<Answer | Promise<Answer>>>,
  goTogether: (a: Item, b: Item) => boolean
): (item: Item) => Promise<Answer> {
  let waiting: Array<{ item: Item, resolve: (answer: Answer | Promise<Answer>) => void, reject: (error: unknown) => void }> = []

  function flush (): void {
    const sent = waiting
    waiting = []
    if (sent.length === 0) return
    send(sent.map(({ item }) => item)).then(
      (answers) => { for (const [i, answer] of answers.entries()) sent[i]?.resolve(answer) },
      (error: unknown) => { for (const { reject } of sent) reject(error) }
    )
  }

  return (item) => new Promise((resolve, reject) => {
    if (waiting[0] !== undefined && !goTogether(waiting[0].item, item)) flush()
    if (waiting.length === 0) setImmediate(flush)
    if (waiting.push({ item, resolve, reject }) === most) flush()
  })
}
