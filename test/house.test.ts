import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'

const root = join(__dirname, '..', 'lib')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.m?ts$/.test(file))

/** The layers, the highest first: a file imports only from its own layer and those below it. */
const layers = [
  'doors', 'testing', 'testing/contract', 'routes', 'actions',
  'binding/dbsc', 'binding/dpop', 'binding', 'session', 'http',
  'tokens', 'store/redis', 'store/redis/scripts', 'store', 'options', 'floor'
]

// Every layer creates errors and emits events.
const floor = new Set(['errors.ts', 'events.ts'])

const layerOf = (file: string): string =>
  file.includes('/') ? dirname(file) : floor.has(file) ? 'floor' : 'doors'

/** Returns the files of lib that this one imports at run time; types are erased: none of them. */
function imports (file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8')
  const statements = source.matchAll(/^(?:import|export) (?!type )(?:[^'\n]* from )?'(\.[^']+)'/gm)
  const resolve = (path: string): string =>
    relative(root, join(root, dirname(file), path.replace(/\.m?js$/, '')))
  return [...statements].map(([, path = '']) => resolve(path))
    .map((path) => files.find((file) => file.replace(/\.m?ts$/, '') === path) ?? path)
}

t.test('imports form no circle', async (t) => {
  const done = new Set<string>()
  const visit = (file: string, above: string[]): void => {
    t.notOk(above.includes(file), [...above.slice(above.indexOf(file)), file].join(' → '))
    if (above.includes(file) || done.has(file)) return
    for (const path of imports(file)) visit(path, [...above, file])
    done.add(file)
  }
  for (const door of ['index.ts', 'testing/testing.ts']) visit(door, [])
  t.ok(done.size > 20, `${done.size} files were visited`)
  for (const file of done) t.ok(files.includes(file), `${file} exists`)
})

t.test('a folder imports only from folders below it', async (t) => {
  const server = files.filter((file) => !file.startsWith('client'))
  for (const file of server) {
    const layer = layers.indexOf(layerOf(file))
    t.not(layer, -1, `${file} is in a layer`)
    for (const path of imports(file)) {
      t.ok(layers.indexOf(layerOf(path)) >= layer, `${file} → ${path}`)
    }
  }
})

t.test('the client imports nothing of the server', async (t) => {
  const client = files.filter((file) => file.startsWith('client'))
  t.not(client.length, 0)
  for (const file of client) for (const path of imports(file)) t.match(path, /^client/)
})

t.test('stores know nothing of HTTP', async (t) => {
  for (const file of files.filter((file) => file.startsWith('store'))) {
    for (const path of imports(file)) t.match(path, /^store|^options|^(?:errors|events)\.ts$/, file)
  }
})

/** Why a file is longer than is read without much scrolling. */
const longer: Record<string, string> = {
  'actions/authenticate.ts': 'one guard in its three forms: hook, promise and call',
  'actions/manage-sessions.ts': 'the docblocks of all that fastify.sessions can do',
  'client/client.mts': 'one closure: split, it exceeds 2 kB',
  'errors.ts': 'the list of all errors',
  'options/options.ts': 'the docblocks of all options',
  'routes/openapi.ts': 'the documentation of all routes',
  'store/memory.ts': 'the whole of a store',
  'store/redis/redis.ts': 'the whole of a store',
  'store/redis/subscription.ts': 'one connection, from its first heartbeat to its end',
  'store/store.ts': 'the docblocks of all that a store does'
}

t.test('a file is read without scrolling: it has at most 130 lines, or a reason', async (t) => {
  const lines = (file: string): number =>
    readFileSync(join(root, file), 'utf8').split('\n').length - 1
  const long = files.filter((file) => !file.startsWith('testing/contract') && lines(file) > 130)
  t.strictSame(long.sort(), Object.keys(longer))
})
