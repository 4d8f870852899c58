import type { RedisCluster } from './cluster'
import type { RedisServer } from './redis'
import { until } from './until'

/**
 * Moves the slot of `key` to another master as a resharding does, key by key; `between` runs where
 * part of its keys have moved (clients get ASK).
 */
export async function moveSlot (
  cluster: RedisCluster,
  key: string,
  to: RedisServer,
  between: () => Promise<void> = async () => {}
): Promise<void> {
  const from = await cluster.masterOf(key)
  const slot = Number(await cluster.admin(from).cluster('KEYSLOT', key))
  await cluster.admin(to).call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await cluster.id(from))
  await cluster.admin(from).call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await cluster.id(to))
  await between()
  for (;;) {
    const [next] = (await cluster.admin(from).call('CLUSTER', 'GETKEYSINSLOT', slot, 1)) as string[]
    if (next === undefined) break
    // A server whose memory is full takes none, until it is not.
    await until('a key to move', async () =>
      await cluster.admin(from).call('MIGRATE', '127.0.0.1', to.port, next, 0, 5000))
    await between()
  }
  // First the one that receives it: otherwise there is a moment in which nobody has it.
  for (const node of [to, from]) {
    await cluster.admin(node).call('CLUSTER', 'SETSLOT', slot, 'NODE', await cluster.id(to))
  }
}
