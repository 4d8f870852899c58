// What refreshes and logins cost among 1,000 sessions and among 1,000,000, in turn. npm --prefix
// benchmark run growth
import { once } from 'node:events'
import { fill } from './fill.mjs'
import { ask, start, startRedis } from './processes.mjs'
import { spread } from './report.mjs'

const [sizes, passes, ms] = [[1_000, 1_000_000], 9, 1000]
const [file, name] = ['ours.mjs', 'ours HS256']

const stores = []
for (const size of sizes) {
  const redis = await startRedis(1)
  const server = start(0, 'server.mjs', file, name, redis.port)
  const [{ port }] = await once(server, 'message')
  await fill(redis.client, size, { prefix: `ours:${server.pid}:` })
  stores.push({ size, redis, server, generator: start(1, 'load.mjs', file, name, port) })
}

for (const load of ['refresh', 'login']) {
  const samples = sizes.map(() => [])
  for (const { generator } of stores) await ask(generator, { load, ms, warmUp: true })
  for (let pass = 0; pass < passes; pass++) {
    for (const [i, { redis, server, generator }] of stores.entries()) {
      const before = { ...await ask(server), redis: await redis.cpu() }
      const { answered } = await ask(generator, { load, ms })
      const after = { ...await ask(server), redis: await redis.cpu() }
      const cpu = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system
      samples[i].push({ server: cpu / answered, redis: (after.redis - before.redis) / answered })
    }
  }
  for (const part of ['server', 'redis']) {
    const ratio = spread(samples[1].map((sample, pass) => sample[part] / samples[0][pass][part]))
    const [few, many] = samples.map((own) =>
      spread(own.map((sample) => sample[part])).median.toFixed(1)
    )
    console.log(
      `${load}, CPU of the ${part}: ${few} µs among ${sizes[0]} sessions, ${many} µs among ${sizes[1]};`,
      `ratio ${ratio.median.toFixed(3)} (${ratio.min.toFixed(3)}–${ratio.max.toFixed(3)})`
    )
  }
}
for (const { redis, server, generator } of stores) {
  for (const child of [server, generator]) child.disconnect()
  await redis.stop()
}
