let time = 0
let counted = 0
let wall = 0

/**
 * Returns ms since the epoch or more, by a clock that never goes back. The clock that counts stands
 * still while some machines sleep, and the one on the wall is the user's to set: from one call to
 * the next, as much time has passed as either says.
 */
export function now (): number {
  return (time -= Math.min(
    counted - (counted = performance.now()), wall - (wall = Date.now())))
}
