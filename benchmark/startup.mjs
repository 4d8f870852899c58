// Start-up and idle memory beside the bare plugins. npm --prefix benchmark run startup
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startRedis } from './processes.mjs'
import { spread } from './report.mjs'

const [kind, port] = process.argv.slice(2)
if (kind === undefined) {
  const redis = await startRedis(1)
  const runs = { bare: [], ours: [] }
  for (let pass = 0; pass < 15; pass++) {
    for (const kind of ['bare', 'ours']) {
      const args = ['--expose-gc', fileURLToPath(import.meta.url), kind, redis.port]
      runs[kind].push(
        JSON.parse(execFileSync(process.execPath, args.map(String), { encoding: 'utf8' }))
      )
    }
  }
  await redis.stop()
  for (const field of ['importMs', 'readyMs', 'readyCpuMs', 'heapMB', 'rssMB']) {
    const [bare, ours] = ['bare', 'ours'].map((kind) => spread(runs[kind].map((run) => run[field])))
    const text = ({ median, min, max }) =>
      `${median.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`
    console.log(
      field.padEnd(10),
      `bare ${text(bare)}, ours ${text(ours)}, more by ${(ours.median - bare.median).toFixed(1)}, at best by ${(ours.min - bare.min).toFixed(1)}`
    )
  }
} else {
  process.stdout.write(JSON.stringify(await measure(kind === 'ours', Number(port))))
  process.exit()
}

/** Registers the bare plugins, and ours beside them; from the first `register` to `ready`. */
async function measure (ours, port) {
  const { default: Fastify } = await import('fastify')
  const { default: fastifyCookie } = await import('@fastify/cookie')
  const { default: fastifyJwt } = await import('@fastify/jwt')
  const { Redis } = await import('ioredis')
  const secret = 'a secret of the benchmark, 32 bytes and more'
  const client = new Redis({ port })
  await client.ping()
  const start = performance.now()
  const authPlugin = ours ? (await import('../dist/index.mjs')).default : undefined
  const imported = performance.now()
  const cpu = process.cpuUsage()
  const app = Fastify()
  app.register(fastifyCookie)
  app.register(fastifyJwt, { secret })
  if (ours) app.register(authPlugin, { secret, redis: client })
  await app.ready()
  const ready = performance.now()
  const { user, system } = process.cpuUsage(cpu)
  globalThis.gc()
  const { heapUsed, rss } = process.memoryUsage()
  return {
    importMs: imported - start,
    readyMs: ready - imported,
    readyCpuMs: (user + system) / 1000,
    heapMB: heapUsed / 2 ** 20,
    rssMB: rss / 2 ** 20
  }
}
