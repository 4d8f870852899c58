import { freePort } from './free-port'
import { RedisServer, startRedis } from './redis'
import { until } from './until'

/** Starts a master and its replica, which stop when the test `t` does. */
export async function replicatedFor (t: {
  teardown(f: () => unknown): unknown
}): Promise<{ master: RedisServer, replica: RedisServer }> {
  const args = ['--repl-diskless-sync-delay', '0']
  const master = await startRedis({ port: await freePort(), args })
  t.teardown(() => master.stop())
  const replica = await startRedis({
    args: [...args, '--replicaof', '127.0.0.1', String(master.port)]
  })
  t.teardown(() => replica.stop())
  await join(replica)
  return { master, replica }
}

/** Waits until a replica has caught up with its master. */
export async function join (replica: RedisServer): Promise<void> {
  const client = replica.client()
  await until('the replica to have caught up', async () =>
    /master_link_status:up/.test(await client.info('replication'))
  )
}

/** Cuts a replica off from its master; it keeps what it has. */
export async function cutOff (replica: RedisServer): Promise<void> {
  // Nobody listens on port 1.
  await replica.client().replicaof('127.0.0.1', 1)
}

/** Makes a replica the master. */
export async function promote (replica: RedisServer): Promise<void> {
  await replica.client().replicaof('NO', 'ONE')
}
