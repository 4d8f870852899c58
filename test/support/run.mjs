// Runs tap, and reports in few lines: one for each file, a bounded part of each failure, and last
// how many tests passed. Arguments are tap's; with a reporter among them, tap reports by itself.
//   node test/support/run.mjs          all tests, with the coverage of lib and of the client
//   node test/support/run.mjs --disable-coverage test/login.test.ts
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Parser } from 'tap-parser'

const mostFailures = 40
const mostLines = 40
const mostColumns = 200

const { resolve } = createRequire(import.meta.url)
const tap = join(dirname(resolve('tap/package.json')), 'dist/esm/run.mjs')
const args = process.argv.slice(2)
const loader = pathToFileURL(join(import.meta.dirname, 'typescript/register.mjs'))
const env = {
  ...process.env,
  NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${loader}`.trim()
}

if (args.some((arg) => /^(?:--reporter|-R)/.test(arg))) {
  process.exit(spawnSync(process.execPath, [tap, ...args], { stdio: 'inherit', env }).status ?? 1)
}

const failures = []
let passed = 0
let failed = 0
// What tap says of coverage, and what the tests have written to stderr.
let afterwards = ''
let errors = ''

const parser = new Parser()
parser.on('child', (file) => {
  const before = { passed, failed }
  count(file)
  follow(file, [file.name])
  parser.once('assert', ({ ok, diag, time }) => {
    // A file that crashed or was ended before its first test is one failure.
    if (!ok && failed === before.failed) {
      failed++
      if (failures.every(({ titles }) => titles[0] !== file.name)) note([file.name], diag)
    }
    const tests = passed - before.passed + failed - before.failed
    const seconds = (time / 1000).toFixed(1)
    console.log(`${ok ? 'ok  ' : 'FAIL'}  ${file.name}  ${tests} tests, ${seconds} s`)
  })
})
parser.on('extra', (line) => { afterwards += line })

/** Counts the tests of a file: what stands directly in it. */
function count (file) {
  file.on('assert', ({ ok, skip, todo }) => {
    if (skip || todo) return
    if (ok) passed++
    else failed++
  })
}

/** Notes what fails below, each with the titles that lead to it. */
function follow (parser, titles) {
  let below
  parser.on('child', (child) => {
    below = failures.length
    follow(child, [...titles, child.name])
  })
  parser.on('assert', (result) => {
    const told = below !== undefined && failures.length > below
    below = undefined
    if (!result.ok && !result.todo && !result.skip && !told) {
      note([...titles, result.name], result.diag)
    }
  })
}

function note (titles, diag) {
  failures.push({ titles, text: failures.length < mostFailures ? explain(diag ?? {}) : '' })
}

/** What is worth reading of a failure: its difference or its values, its place, its stack. */
function explain ({ diff, found, wanted, error, stack, at, exitCode, signal, expired, ...more }) {
  const parts = []
  if (at?.fileName) parts.push(`at ${at.fileName}:${at.lineNumber}`)
  if (diff) parts.push(diff)
  else if (found !== undefined || wanted !== undefined) {
    parts.push(`found: ${show(found)}`, `wanted: ${show(wanted)}`)
  }
  if (error) parts.push(show(error))
  if (expired || more.timeout) parts.push(`timed out: ${show({ expired, timeout: more.timeout })}`)
  if (exitCode || signal) parts.push(`the process ended with ${signal ?? `code ${exitCode}`}`)
  if (stack && !diff) parts.push(stack)
  return bound(parts.join('\n'), mostLines)
}

const show = (value) => typeof value === 'string' ? value : JSON.stringify(value)

function bound (text, most) {
  const lines = text.trimEnd().split('\n')
  const kept = lines.slice(0, most)
  const rest = lines.length - kept.length
  if (rest > 0) kept.push(`… ${rest} lines more`)
  return kept.map((line) => line.length > mostColumns ? `${line.slice(0, mostColumns)}…` : line)
    .join('\n')
}

const child = spawn(process.execPath, [tap, '--reporter=tap', ...args],
  { stdio: ['ignore', 'pipe', 'pipe'], env })
child.stdout.pipe(parser)
child.stderr.on('data', (data) => { errors = (errors + data).slice(-64 * 1024) })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))

const [code] = await Promise.all([
  new Promise((resolve) => child.once('close', resolve)),
  new Promise((resolve) => parser.once('complete', resolve))
])

for (const { titles, text } of failures.slice(0, mostFailures)) {
  console.log(`\n✖ ${titles.join(' › ')}\n${text.replace(/^/gm, '    ')}`)
}
if (failures.length > mostFailures) {
  console.log(`\n… and ${failures.length - mostFailures} failures more`)
}
if (code !== 0 && errors !== '') {
  const end = errors.split('\n').slice(-60).join('\n')
  console.log(`\nThe end of what was written to stderr:\n${bound(end, 60)}`)
}
let status = code ?? 1
if (status !== 0 && failed === 0) {
  console.log(`\nNo test failed, but tap says:\n${bound(afterwards, 100)}`)
}
if (status === 0 && args.length === 0) status = coverClient()
console.log(`\n${passed} passed, ${failed} failed`)
if (process.env.TALLY) appendFileSync(process.env.TALLY, `${passed} ${failed}\n`)
process.exitCode = status

/** Demands full coverage of the client, whose files tap does not count; returns the exit status. */
function coverClient () {
  const c8 = join(dirname(resolve('c8/package.json')), 'bin/c8.js')
  const { status, stdout, stderr } = spawnSync(process.execPath, [c8, 'report',
    '--temp-directory', '.tap/coverage', '--extension', '.mts', '--include', 'lib/client',
    '--exclude', '', '--check-coverage', '--100'], { encoding: 'utf8' })
  if (status !== 0) console.log(`\n${stdout}${stderr}`)
  return status ?? 1
}
