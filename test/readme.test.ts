import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import { toMilliseconds } from '../lib/options/duration'
import * as errors from '../lib/errors'
import { events } from '../lib/events'
import { readSettings } from '../lib/settings'
import { MemoryStore } from '../lib/store/memory'
import { secret } from './support/app'

const readme = readFileSync(join(__dirname, '../README.md'), 'utf8')

/** The table under a heading: rows of cells. */
function table (heading: string): string[][] {
  const section = readme.slice(readme.indexOf(`\n## ${heading}\n`)).split('\n## ')[1] ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('|')).slice(2)
  return rows.map((row) =>
    row
      .replaceAll('\\|', '¦')
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

const quoted = (cell = ''): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)

/** What the source allows under a path: it says so itself, when asked for what it does not know. */
function allowed (path: string[]): string[] {
  const given = path.reduceRight<object>((inner, name) => ({ [name]: inner }), { nobody: true })
  try {
    readSettings({ secret, store: new MemoryStore(), ...given }, Fastify())
  } catch (error) {
    const names = /unknown; allowed: (.*)$/.exec((error as Error).message)?.[1]
    if (names !== undefined) return names.split(', ')
  }
  return [path.join('.')]
}

t.test('the table of options has every option of the source, and no other', async (t) => {
  const source = allowed([])
    .flatMap((name) => allowed([name]))
    .filter((name) => name !== 'secret.nobody')
  t.ok(source.includes('refreshToken.gracePeriod'))
  t.strictSame(table('Options').flatMap(([name]) => quoted(name)).sort(), source.sort())
})

t.test('the table of options has the defaults of the source', async (t) => {
  const settings = readSettings({ secret, store: new MemoryStore() }, Fastify())
  const of = (path: string): unknown =>
    path
      .split('.')
      .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], settings)
  let compared = 0
  for (const [names, type = '', given = ''] of table('Options')) {
    const [path = ''] = quoted(names)
    const text = /^`([^`]*)`/.exec(given)?.[1]
    if (
      text === undefined ||
      path === 'redis' ||
      path === 'revocation' ||
      path === 'trustedOrigins' ||
      path.startsWith('durability')
    ) {
      continue
    }
    compared++
    const value: unknown = JSON.parse(text.replaceAll("'", '"'))
    t.strictSame(of(path), type.startsWith('duration') ? toMilliseconds(value) : value, path)
  }
  t.ok(compared >= 9, `${compared} defaults`)
  t.equal(settings.push, false)
})

t.test('the table of errors has every code of the source with its status, and no other', async (t) => {
  const source = Object.values(errors).flatMap((Constructor) => {
    if (Constructor === errors.refuse) return []
    const { code, statusCode } = new (Constructor as typeof errors.StoreUnavailableError)()
    return [`${code} ${statusCode}`]
  })
  t.ok(source.length > 10)
  t.strictSame(
    table('Errors')
      .flatMap(([codes, status]) => quoted(codes).map((code) => `${code} ${status}`))
      .sort(),
    source.sort()
  )
})

t.test('the list of events has every channel of the source, and no other', async (t) => {
  const section = readme.slice(readme.indexOf('\n## Events\n')).split('\n## ')[1] ?? ''
  const [, line = ''] = /`fastify-jwt-sessions:` \+ (.*?)\. /.exec(section) ?? []
  t.strictSame(quoted(line).sort(), Object.keys(events).sort())
})

t.test('the threat model names tests that exist', async (t) => {
  const page = readFileSync(join(__dirname, '../docs/threat-model.md'), 'utf8')
  const named = [...page.matchAll(/\[([\w-]+)\]\(\.\.\/test\/([\w-]+)\.test\.ts\): _(.+?)_ \|/g)]
  t.ok(named.length >= 30)
  t.equal(page.split('../test/').length - 1, named.length, 'all of them')
  for (const [, label = '', file = '', title = ''] of named) {
    t.equal(label, file)
    t.ok(
      readFileSync(join(__dirname, `${file}.test.ts`), 'utf8').includes(`t.test('${title}'`),
      `${file}: ${title}`
    )
  }
})

t.test('CONTRIBUTING names files that exist', async (t) => {
  const root = join(__dirname, '..')
  const page = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
  const text = page.replaceAll(/```[^]*?```/g, '')
  const paths = quoted(text).filter((path) => /^\.?[\w-]+\/[\w/.-]*$/.test(path))
  t.ok(paths.length >= 15, `${paths.length} paths`)
  for (const path of paths) t.ok(existsSync(join(root, path)), path)
})
