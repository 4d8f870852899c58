// What the server of one contender spends its time on: node profile.mjs <file> <name> <load> [<ms>]; see --cpu-prof in Node's manual.
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ask, start, startRedis } from './processes.mjs'

const [file, name, load, ms = '4000'] = process.argv.slice(2)
const dir = mkdtempSync(join(tmpdir(), 'profile-'))
const redis = await startRedis(1)
process.execArgv.push('--cpu-prof', `--cpu-prof-dir=${dir}`)
const server = start(0, 'server.mjs', file, name, redis.port)
process.execArgv.length = 0
const [{ port }] = await once(server, 'message')
const generator = start(1, 'load.mjs', file, name, port)
await ask(generator, { load, ms: Number(ms), warmUp: true })
generator.disconnect()
server.disconnect()
await once(server, 'exit')
await redis.stop()

const own = new Map()
let total = 0
for (const each of readdirSync(dir)) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(dir, each), 'utf8'))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  samples.forEach((id, i) => {
    const { functionName, url, lineNumber } = byId.get(id).callFrame
    const where = `${functionName || '(anonymous)'} ${url ? `${basename(url)}:${lineNumber + 1}` : ''}`
    own.set(where, (own.get(where) ?? 0) + timeDeltas[i])
    if (functionName !== '(idle)') total += timeDeltas[i]
  })
}
rmSync(dir, { recursive: true })
for (const [where, time] of [...own].sort((a, b) => b[1] - a[1]).slice(0, 45)) {
  console.log(`${(time / total * 100).toFixed(1).padStart(5)} % ${where}`)
}
