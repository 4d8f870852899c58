import { parse } from '@lukeed/ms'

/** Seconds as a number, or text such as `'30m'`. */
export type Duration = number | string

const longest = 10 * 365 * 24 * 60 * 60 * 1000

// The library takes a zero for no number.
const zero = /^0+(?:\.0+)?(?=\s*[a-z]|$)/i
// And text without a unit for milliseconds, where every number here is one of seconds.
const unit = /[a-z]$/i

const parseText = (text: string): number | undefined => {
  if (zero.test(text) && parse(text.replace(zero, '1')) !== undefined) return 0
  return unit.test(text) ? parse(text) : undefined
}

/**
 * Reads a duration into whole milliseconds; `undefined` where it is none, negative, or longer than
 * ten years.
 */
export function toMilliseconds (duration: unknown): number | undefined {
  const ms =
    typeof duration === 'number'
      ? duration * 1000
      : typeof duration === 'string'
        ? parseText(duration)
        : undefined
  if (ms === undefined || !(ms >= 0 && ms <= longest)) return undefined
  return Math.round(ms)
}
