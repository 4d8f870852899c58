// npm --prefix benchmark run replays: what a process keeps in memory to accept each DPoP proof
// once.
import { randomUUID } from 'node:crypto'
import replays from '../dist/binding/dpop/replays.js'

const most = 100_000
const jkt = 'x'.repeat(43)

function usedMemory () {
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const before = usedMemory()
const { record } = replays.createReplays()
for (let i = 0; i < most; i++) record({ jkt, jti: randomUUID() })
const full = usedMemory() - before
// Above the limit the oldest are forgotten.
for (let i = 0; i < 3 * most; i++) record({ jkt, jti: randomUUID() })
const longAfter = usedMemory() - before
record({ jkt, jti: 'the last' })

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`
console.log(`${most} proofs: ${megabytes(full)}, ${(full / most).toFixed(0)} bytes for each;`,
  `after ${4 * most} proofs: ${megabytes(longAfter)}`)
