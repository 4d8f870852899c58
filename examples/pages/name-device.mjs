/** Returns what a user recognizes a device by in the list. */
export function nameDevice (userAgent = '') {
  const browser = /(Firefox|Edg|Chrome|Safari)\//.exec(userAgent)?.[1] ?? 'A program'
  const system = /(Android|iPhone|iPad|Windows|Mac OS|Linux)/.exec(userAgent)?.[1]
  return system ? `${browser} on ${system}` : browser
}
