// npm run bench [-- --quick] [--only <part of a name>]... [--load <load>]...
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { ask, start, startRedis } from './processes.mjs'
import { report } from './report.mjs'

const {
  values: { quick, only, load: chosen, passes, ms }
} = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [''] },
    load: {
      type: 'string',
      multiple: true,
      default: ['one', 'pages', 'forged', 'refresh', 'turns', 'login', 'many']
    },
    passes: { type: 'string', default: '15' },
    ms: { type: 'string', default: '400' }
  }
})
const time = quick
  ? { passes: 1, warmUp: 300, ms: 300 }
  : { passes: Number(passes), warmUp: 2000, ms: Number(ms) }
const reference = 'bare Fastify'

/** Whether a contender takes part in a load. */
const takesPart = {
  login: 'login',
  refresh: 'refresh',
  turns: 'turns',
  one: 'authenticate',
  many: 'authenticate',
  forged: 'authenticate',
  pages: 'pages',
  device: 'device',
  proven: 'device'
}

const redis = await startRedis(1)
const pairs = []
for (const file of readdirSync(new URL('contenders/', import.meta.url))) {
  const { contenders } = await import(`./contenders/${file}`)
  for (const [name, contender] of Object.entries(contenders)) {
    if (name !== reference && !only.some((part) => name.includes(part))) continue
    const server = start(0, 'server.mjs', file, name, redis.port)
    const [{ port }] = await once(server, 'message')
    pairs.push({ name, contender, server, generator: start(1, 'load.mjs', file, name, port) })
  }
}

/**
 * One contender under one load for some time: requests per second and the microseconds that each
 * cost.
 */
async function measure ({ server, generator }, load, ms) {
  const before = { ...await ask(server), redis: await redis.cpu() }
  const commands = await redis.commands()
  const { answered, ms: took } = await ask(generator, { load, ms })
  const sent = await redis.commands() - commands - 1 // one asks how many they are
  const after = { ...await ask(server), redis: await redis.cpu() }
  const cpu = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system
  return {
    rate: answered / took * 1000,
    cpu: cpu / answered,
    redis: (after.redis - before.redis) / answered,
    commands: sent / answered,
    busy: cpu / took / 1000,
    rss: after.rss
  }
}

const file = new URL('results/results.json', import.meta.url)

/**
 * Writes what has been measured so far, beside what is there of other loads; a smoke run, or some
 * of the contenders, is nothing to keep.
 */
function save () {
  if (only[0] !== '' || quick) return
  const others = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8')).samples.filter(({ load }) => !chosen.includes(load))
    : []
  const machine = [
    cpus()[0].model,
    `${availableParallelism()} cores`,
    `Node ${process.version}`,
    `load average ${loadavg()[0].toFixed(1)}`
  ].join(', ')
  mkdirSync(new URL('results/', import.meta.url), { recursive: true })
  writeFileSync(
    file,
    JSON.stringify({ machine, time, samples: [...others, ...samples] })
  )
  report()
}

const samples = []
for (const load of chosen) {
  const field = pairs
    .filter(({ contender }) => contender[takesPart[load]] && !contender.not?.includes(load))
    .sort((a, b) => (b.name === reference) - (a.name === reference))
  for (const { generator } of field) await ask(generator, { load, ms: time.warmUp, warmUp: true })
  for (let pass = 0; pass < time.passes; pass++) {
    let bare
    for (const pair of field) {
      const sample = await measure(pair, load, time.ms)
      bare ??= sample
      samples.push({ load, name: pair.name, pass, ...sample, ofByCpu: bare.cpu / sample.cpu })
      console.log(
        load.padEnd(8),
        pair.name.padEnd(28),
        `${Math.round(sample.rate)}/s`.padStart(9),
        `${(bare.cpu / sample.cpu).toFixed(2)} of bare by CPU`,
        `${sample.cpu.toFixed(1)} µs, Redis ${sample.redis.toFixed(1)} µs`,
        `${sample.commands.toFixed(3)} commands`,
        `busy ${sample.busy.toFixed(2)}`
      )
    }
  }
  save()
}

for (const { server, generator } of pairs) {
  [server, generator].forEach((child) => child.disconnect())
}
await redis.stop()
