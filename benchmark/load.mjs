// The load generator in a process of its own:
// node load.mjs <file> <name> <port> [connections]
import { Browser } from './browser.mjs'
import { credentials, header, open, status } from './http.mjs'
import { Visitor } from './visitor.mjs'
import { forge, wire } from './wire.mjs'

const [file, name, port, given = '64'] = process.argv.slice(2)
const contender = (await import(`./contenders/${file}`)).contenders[name]
const { authenticate, refresh, forged = 401 } = contender
const login = typeof contender.login === 'string' ? contender.login : 'login'
// A proof is for one request only.
const isBound = authenticate === 'bound'
const isPage = authenticate === 'page'
const connections = Number(given)
const many = 20_000
const rested = 80_000 // more than are refreshed in ten seconds
const fewest = 300 // requests in a measurement, however busy the machine is
const issued = [] // what the logins, and then the refreshes, answered
const resting = [] // which of them rests next, by connection
let logins = 0

/**
 * For each load: how many logins it needs, the status it expects, what comes next and what to make
 * of the answer.
 */
const loads = {
  login: { needs: 0, expects: 200, next: () => wire[login](logins++) },
  one: { needs: 1, expects: 200, next: () => nextOf(0) },
  many: { needs: many, expects: 200, next: () => nextOf(turn++ % many) },
  forged: { needs: 1, expects: forged, next: () => wire[authenticate](forge(issued[0], turn++)) },
  refresh: {
    needs: connections,
    expects: 200,
    next: (connection) => wire[refresh](issued[connection]),
    receive: (connection, response) => { issued[connection] = credentials(response) }
  },
  // As users do: a session that has refreshed rests for longer than its grace period.
  turns: {
    needs: rested,
    expects: 200,
    next: (connection) => {
      resting[connection] = turn++ % rested
      return wire[refresh](issued[resting[connection]])
    },
    receive: (connection, response) => { issued[resting[connection]] = credentials(response) }
  },
  // Cookie mode, with access cookies that run out. The others' requests are all alike.
  pages: {
    needs: connections,
    expects: 200,
    next: (connection) => isPage ? visitorAt(connection).visit() : nextOf(connection),
    receive: (connection, response) => isPage && visitorAt(connection).take(response)
  },
  // Proofs alone; and refreshes that follow a proof each: of two requests one is the refresh.
  device: {
    needs: connections,
    expects: 200,
    next: (connection) => browserAt(connection).prove(),
    receive: (connection, response) => browserAt(connection).take(response)
  },
  proven: {
    needs: connections,
    expects: 200,
    next: (connection) => browserAt(connection).proveAndRefresh(),
    receive: (connection, response) => browserAt(connection).take(response)
  }
}
const browsers = []
const browserAt = (connection) => (browsers[connection] ??= new Browser(issued[connection]))
const visitors = []
const visitorAt = (connection) =>
  (visitors[connection] ??= new Visitor(issued[connection], connection))
const requests = []
let turn = 0
const nextOf = (number) => isBound ? wire.bound(issued[number]) : requests[number]

/**
 * Keeps every connection busy for some time and some requests at least; answers how many there were
 * and the time they took.
 */
async function run ({ expects, next, receive }, { ms = 0, least = 0 }) {
  let answered = 0
  let asked = 0
  const start = performance.now()
  const keepBusy = (connection) => new Promise((resolve, reject) => {
    const ask = () => {
      if (asked >= least && performance.now() - start >= ms) return resolve(socket.destroy())
      asked++
      socket.write(next(connection), 'latin1')
    }
    const socket = open(Number(port), (response) => {
      if (status(response) !== expects) return reject(new Error(`${name}: ${response}`))
      answered++
      receive?.(connection, response)
      ask()
    })
    socket.once('connect', ask).once('error', reject)
  })
  await Promise.all(Array.from({ length: connections }, (_, connection) => keepBusy(connection)))
  return { answered, ms: performance.now() - start }
}

/** Logs in until the load has the credentials that it needs. */
async function prepare ({ needs }) {
  const receive = (_, response) => {
    const offer = header(response, 'secure-session-registration')
    issued.push({ ...credentials(response), offer })
  }
  const missing = needs - issued.length
  if (missing > 0) await run({ ...loads.login, receive }, { least: missing })
  if (!authenticate || isBound) return
  while (requests.length < issued.length) {
    requests.push(wire[authenticate](issued[requests.length]))
  }
}

process.on('message', async ({ load, ms, warmUp }) => {
  await prepare(loads[load])
  // Every token is met once before the measurement: what is measured is a service that runs.
  process.send(await run(loads[load], { ms, least: warmUp ? loads[load].needs : fewest }))
})
process.on('disconnect', () => process.exit())
