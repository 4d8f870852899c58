// What the server of one contender spends its time on: node profile.mjs <file> <name> <load>
// [<ms>]; see --cpu-prof in Node's manual.
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

const times = new Map()
let total = 0
for (const each of readdirSync(dir)) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(dir, each), 'utf8'))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  for (const node of nodes) node.children?.forEach((id) => { byId.get(id).parent = node })
  samples.forEach((id, i) => {
    if (byId.get(id).callFrame.functionName === '(idle)') return
    total += timeDeltas[i]
    const path = new Set()
    for (let node = byId.get(id); node; node = node.parent) path.add(label(node))
    for (const where of path) {
      const time = times.get(where) ?? { own: 0, inclusive: 0 }
      if (where === label(byId.get(id))) time.own += timeDeltas[i]
      time.inclusive += timeDeltas[i]
      times.set(where, time)
    }
  })
}
rmSync(dir, { recursive: true })

function label ({ callFrame: { functionName, url, lineNumber } }) {
  return `${functionName || '(anonymous)'} ${url ? `${basename(url)}:${lineNumber + 1}` : ''}`
}

const percent = (time) => `${(time / total * 100).toFixed(1).padStart(5)} %`
console.log('    own   with callees')
for (const [where, { own, inclusive }] of [...times]
  .sort((a, b) => b[1].inclusive - a[1].inclusive)
  .slice(0, 120)) {
  console.log(percent(own), percent(inclusive), where)
}
