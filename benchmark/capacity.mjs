// The arithmetic of a large deployment, in three modes side by side. npm --prefix benchmark run
// capacity -- [--sessions 1e9] [--active 0.1] [--lifetime 1800] …
import { parseArgs } from 'node:util'

const modes = ['header', 'cookie', 'bound']
/**
 * What each mode costs, in the order of `modes`. Of µs, twice what results/results.md has: machines
 * differ, and on a Cluster each refresh goes alone.
 */
const costs = {
  bytes: [230, 230, 230], // of Redis for each session, see memory.mjs; 293 by DBSC
  redis: [28, 28, 38], // µs of Redis CPU for a refresh; `bound`: with a DPoP proof
  refresh: [160, 160, 510], // µs of the server's CPU for a refresh; with cookies, a renewal
  guard: [5, 16, 5] // µs of the server's CPU for the guard of a request, above the bare route
}
const defaults = {
  sessions: '1e9', // that live
  active: '0.1', // the share of them that is in use at the busiest time
  lifetime: '1800', // of an access token, in seconds: each session in use is refreshed once in it
  days: '14', // that a session lives on average: so many logins and endings
  requests: '1', // that a session in use makes in a minute, guarded ones
  shard: '25', // GB that one Redis may hold
  busy: '0.5' // the share of a core that may be in use
}
const names = [...Object.keys(defaults), ...Object.keys(costs)]
const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }]))
const { values } = parseArgs({ options })

/** What is given on the command line, or else the defaults of a mode. */
const settingsOf = (mode) => {
  const column = modes.indexOf(mode)
  const own = Object.entries(costs).map(([name, each]) => [name, each[column]])
  const all = { ...defaults, ...Object.fromEntries(own), ...values }
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, Number(value)]))
}

/** The rows of a mode: what is counted, the number, its unit. */
function deploy (given) {
  const inUse = given.sessions * given.active
  const refreshes = inUse / given.lifetime
  const logins = given.sessions / (given.days * 86_400)
  const guarded = inUse * given.requests / 60
  const gigabytes = given.sessions * given.bytes / 1e9
  const cores = (perSecond, micros) => perSecond * micros / 1e6 / given.busy
  return [
    ['memory of Redis, without replicas', gigabytes, 'GB'],
    ['shards by memory', Math.ceil(gigabytes / given.shard), `of ${given.shard} GB`],
    ['refreshes at the busiest time', refreshes, 'per second'],
    ['logins, and as many endings', logins, 'per second'],
    ['shards by CPU', Math.ceil(cores(refreshes + logins, given.redis)), `${given.busy * 100} % busy`],
    ['cores of Node for refreshes and logins', cores(refreshes + logins, given.refresh), ''],
    ['guarded requests, none of which asks Redis', guarded, 'per second'],
    ['cores of Node for the guard', cores(guarded, given.guard), '']
  ]
}

const columns = modes.map((mode) => deploy(settingsOf(mode)))
const show = (number) =>
  Number(number.toPrecision(3)).toLocaleString('en').padStart(12)
console.log(' '.repeat(44) + modes.map((mode) => mode.padStart(12)).join(''))
for (const [i, [what, , unit]] of columns[0].entries()) {
  const numbers = columns.map((rows) => show(rows[i][1])).join('')
  console.log(`${what.padEnd(44)}${numbers} ${unit}`.trimEnd())
}
