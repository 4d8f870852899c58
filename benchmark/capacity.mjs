// The arithmetic of a large deployment. npm --prefix benchmark run capacity -- [--sessions 1e9]
// [--active 0.1] [--lifetime 1800] …
import { parseArgs } from 'node:util'

const defaults = {
  sessions: '1e9', // that live
  bytes: '230', // of Redis for each, see memory.mjs
  active: '0.1', // the share of them that is in use at the busiest time
  lifetime: '1800', // of an access token, in seconds: each session in use is refreshed once in it
  days: '14', // that a session lives on average: so many logins and endings
  requests: '1', // that a session in use makes in a minute, guarded ones
  redis: '15', // µs of Redis CPU for a refresh: twice that of results/results.md, for on a cluster each goes alone, and machines differ
  refresh: '100', // µs of the server's CPU for a refresh, twice as well
  guard: '3', // µs of the server's CPU for the guard of a request, above the bare route
  shard: '25', // GB that one Redis may hold
  busy: '0.5' // the share of a core that may be in use
}
const options = Object.fromEntries(
  Object.entries(defaults).map(([name, value]) => [name, { type: 'string', default: value }])
)
const { values } = parseArgs({ options })
const given = Object.fromEntries(
  Object.entries(values).map(([name, value]) => [name, Number(value)])
)

const inUse = given.sessions * given.active
const refreshes = inUse / given.lifetime
const logins = given.sessions / (given.days * 86_400)
const guarded = inUse * given.requests / 60
const gigabytes = given.sessions * given.bytes / 1e9
const cores = (perSecond, micros) => perSecond * micros / 1e6 / given.busy

const show = (what, number, unit) =>
  console.log(
    `${what.padEnd(44)} ${Number(number.toPrecision(3)).toLocaleString('en').padStart(14)} ${unit}`
  )
show('memory of Redis, without replicas', gigabytes, 'GB')
show('shards by memory', Math.ceil(gigabytes / given.shard), `of ${given.shard} GB`)
show('refreshes at the busiest time', refreshes, 'per second')
show('logins, and as many endings', logins, 'per second')
show(
  'shards by CPU',
  Math.ceil(cores(refreshes + logins, given.redis)),
  `at ${given.busy * 100} % of a core`
)
show('cores of Node for refreshes and logins', cores(refreshes + logins, given.refresh), '')
show('guarded requests', guarded, 'per second, none of which asks Redis')
show('cores of Node for the guard', cores(guarded, given.guard), '')
