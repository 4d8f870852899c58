import { setTimeout as delay } from 'node:timers/promises'

/**
 * Asks again every few milliseconds until the answer is neither false, null nor undefined, and
 * fails after `deadline` ms with what it waited for.
 */
export async function until<T> (
  what: string | (() => string),
  ask: () => Promise<T> | T,
  deadline = 15_000
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + deadline
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== false && answer !== null && answer !== undefined) {
        return answer as Exclude<T, false | null | undefined>
      }
      last = answer
    } catch (error) {
      last = error
    }
    if (performance.now() > end) {
      throw new Error(
        `waited ${deadline} ms in vain for ${typeof what === 'string' ? what : what()}`,
        { cause: last }
      )
    }
    await delay(10)
  }
}
