import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RedisServer } from './redis'
import { until } from './until'

const run = promisify(execFile)

/** Whether a disk can be full here; the tests that need it are left out elsewhere. */
export const hasDisk = process.platform === 'linux'

/**
 * Fills the disk of a server whose append-only file is on, except for so many bytes: the kernel
 * lets no file of that process grow longer. A write that crosses this limit is cut short, and those
 * behind it fail, as on a disk that is full.
 */
export async function fillDisk (server: RedisServer, room = 0): Promise<void> {
  const folder = join(server.folder, 'appendonlydir')
  const sizes = readdirSync(folder).filter((name) => name.endsWith('.incr.aof'))
    .map((name) => statSync(join(folder, name)).size)
  await limit(server, String(Math.max(...sizes) + room))
}

/**
 * Fills the disk of a server, whose append-only file need not be on yet, and waits until it refuses
 * to write. The first write that meets a full disk is answered as if it were done.
 */
export async function exhaustDisk (server: RedisServer): Promise<void> {
  const client = server.client()
  // By default a write may wait two seconds for an fsync that is under way, and is answered before.
  await client.config('SET', 'appendfsync', 'no')
  await client.config('SET', 'appendonly', 'yes')
  await until('the append-only file to be written', async () =>
    /aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/.test(await client.info('persistence')))
  await fillDisk(server)
  await until('a write to be refused', async () => await client.set('full', '', 'PX', 1000)
    .then(() => false, ({ message }: Error) => message.startsWith('MISCONF')))
  client.disconnect()
}

/** Makes room again, and waits until the server has noticed, which it does within a second. */
export async function freeDisk (server: RedisServer): Promise<void> {
  await limit(server, 'unlimited')
  const client = server.client()
  await until('the server to write again', async () => !server.alive ||
    /aof_last_write_status:ok/.test(await client.info('persistence')))
  client.disconnect()
}

// The soft limit alone: who has lowered that may raise it again.
async function limit (server: RedisServer, bytes: string): Promise<void> {
  await run('prlimit', [`--fsize=${bytes}:`, '--pid', String(server.pid)])
    .catch((error: Error) => { if (server.alive) throw error })
}
