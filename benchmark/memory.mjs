// What sessions cost Redis: bytes for each, and what becomes of them when nobody comes back. npm
// --prefix benchmark run memory
import { setTimeout as sleep } from 'node:timers/promises'
import { fill } from './fill.mjs'
import { startRedis } from './processes.mjs'

const redis = await startRedis(1)
const { client } = redis

async function usedMemory () {
  await sleep(200) // hash tables that are still growing
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1])
}

// The scripts and the connection's buffers are there once, however many sessions there are.
await fill(client, 1)
for (const [users, perUser] of [[200_000, 1], [40_000, 5], [1_000_000, 1]]) {
  await client.flushall()
  const before = await usedMemory()
  const sessions = await fill(client, users, { perUser })
  const bytes = await usedMemory() - before
  console.log(
    `${users} users with ${perUser}: ${(bytes / sessions).toFixed(1)} bytes for each of ${sessions} sessions`
  )
}

await client.flushall()
await client.config('RESETSTAT')
const before = await usedMemory()
const idleLifetime = 60_000
await fill(client, 1_000_000, { idleLifetime })
const full = await usedMemory()
const start = performance.now()
const cpu = await redis.cpu()
let left
while ((left = await client.dbsize()) > 0 && performance.now() - start < 10 * idleLifetime) {
  await sleep(500)
}
const commands = (await client.info('commandstats'))
  .match(/cmdstat_\w+/g)
  .map((name) => name.slice(8))
console.log(
  `1000000 logins that nobody used again: ${left} left ${((performance.now() - start) / 1000).toFixed(0)} s after the last of them,`,
  `for an idle lifetime of ${idleLifetime / 1000} s; memory ${((full - before) / 1e6).toFixed(0)} MB, then ${(((await usedMemory()) - before) / 1e6).toFixed(0)} MB;`,
  `Redis CPU meanwhile ${(((await redis.cpu()) - cpu) / 1e6).toFixed(1)} s; commands ever sent: ${commands.join(', ')}`
)
await redis.stop()
