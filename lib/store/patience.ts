// A timer that fires late says that this process was busy, not that the store was: its answer may lie here unread. So the
// time is counted in slices, and between them the event loop reads what has come.
const slices = 5

/** Calls `giveUp` after `ms`, or later where this process itself falls behind; answers the way to stop it. */
export function patience (ms: number, giveUp: () => void): () => void {
  let left = slices
  const timer = setInterval(() => {
    if (--left > 0) return
    clearInterval(timer)
    giveUp()
  }, ms / slices)
  return () => { clearInterval(timer) }
}
