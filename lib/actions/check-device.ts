import { describe } from '../options/schema'
import type { Complain } from '../session/claims'

const longestDevice = 255

/**
 * Checks the label of a device, and cuts it at 255 characters. `null` is no label, and `undefined`
 * says nothing of it.
 * @throws what `complain` creates
 */
export function checkDevice (device: unknown, complain: Complain): string | null | undefined {
  if (device === undefined || device === null) return device
  if (typeof device === 'string') return device.slice(0, longestDevice)
  throw complain(`device is ${describe(device)}; it must be a string or null`)
}
