// A timer that fires late says that this process was busy, not that the store was: its answer may
// lie here unread. So the time is counted in slices, and between them the event loop reads what
// has come.
const slices = 5

/**
 * Calls `giveUp` after `ms`, never sooner, and later where this process itself falls behind;
 * returns the way to stop it.
 */
export function createTimeout (ms: number, giveUp: () => void): () => void {
  const end = performance.now() + ms
  let left = slices
  let timer = setInterval(() => { if (--left === 0) finish() }, ms / slices)

  // A timer counts whole ms, from the beginning of a turn of the event loop: it can be early.
  function finish (): void {
    clearInterval(timer)
    const rest = end - performance.now()
    if (rest > 0) timer = setTimeout(finish, rest)
    else giveUp()
  }

  return () => { clearInterval(timer) }
}
