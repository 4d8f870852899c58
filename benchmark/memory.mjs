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
await fill(client, 1, { bound: true })
const fields = [
  [200_000, { perUser: 1 }], [200_000, { perUser: 1, bound: true }],
  [40_000, { perUser: 5 }], [40_000, { perUser: 5, bound: true }],
  [1_000_000, { perUser: 1 }]
]
for (const [users, options] of fields) {
  await client.flushall()
  const before = await usedMemory()
  const sessions = await fill(client, users, options)
  const bytes = await usedMemory() - before
  console.log(`${users} users with ${options.perUser}${options.bound ? ', bound' : ''}:`,
    `${(bytes / sessions).toFixed(1)} bytes for each of ${sessions} sessions`)
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
const seconds = ((performance.now() - start) / 1000).toFixed(0)
const megabytes = (bytes) => `${((bytes - before) / 1e6).toFixed(0)} MB`
const spent = ((await redis.cpu() - cpu) / 1e6).toFixed(1)
console.log(
  `1000000 logins that nobody used again: ${left} left ${seconds} s after the last of them,`,
  `for an idle lifetime of ${idleLifetime / 1000} s;`,
  `memory ${megabytes(full)}, then ${megabytes(await usedMemory())};`,
  `Redis CPU meanwhile ${spent} s; commands ever sent: ${commands.join(', ')}`
)
await redis.stop()
