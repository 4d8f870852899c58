import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Returns how many of these are still reachable. */
export async function countReachable (references: Array<WeakRef<object>>): Promise<number> {
  // What was looked at in a turn of the event loop stays until its end.
  await setImmediate()
  collect()
  return references.filter((reference) => reference.deref() !== undefined).length
}
