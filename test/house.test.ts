import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'

const root = join(__dirname, '..', 'lib')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => /\.m?ts$/.test(file))

/** The files of lib that this one imports; types alone do not count, since nothing of them is left at run time. */
function imports (file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8')
  const statements = source.matchAll(/^(?:import|export) (?!type )(?:[^'\n]* from )?'(\.[^']+)'/gm)
  return [...statements].map(([, path = '']) => relative(root, join(root, dirname(file), path.replace(/\.m?js$/, ''))))
    .map((path) => files.find((file) => file.replace(/\.m?ts$/, '') === path) ?? path)
}

t.test('imports go one way', async (t) => {
  const done = new Set<string>()
  const visit = (file: string, above: string[]): void => {
    t.notOk(above.includes(file), [...above.slice(above.indexOf(file)), file].join(' → '))
    if (above.includes(file) || done.has(file)) return
    for (const path of imports(file)) visit(path, [...above, file])
    done.add(file)
  }
  visit('index.ts', [])
  t.ok(done.size > 20, `${done.size} files were visited`)
  for (const file of done) t.ok(files.includes(file), `${file} exists`)
})

t.test('the client imports nothing from above', async (t) => {
  const client = files.filter((file) => file.startsWith('client'))
  t.not(client.length, 0)
  for (const file of client) for (const path of imports(file)) t.match(path, /^client/)
})

t.test('stores know nothing of HTTP', async (t) => {
  for (const file of files.filter((file) => file.startsWith('store'))) {
    for (const path of imports(file)) t.match(path, /^store|^(?:check|errors|events)\.ts$/, file)
  }
})
