import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import ts from 'typescript'
import { pages, snippetsOf, write, type Snippet } from './support/recipe'

/** What snippets use without saying where it comes from: what the page around them says. */
const ambient = ['snippets.d.mts', 'better-auth.d.ts', 'next.d.ts'].map((file) => join(__dirname, 'types', file))

const options: ts.CompilerOptions = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ESNext,
  lib: ['lib.esnext.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  types: ['node'],
  allowJs: true,
  checkJs: true,
  noEmit: true,
  skipLibCheck: true,
  // JavaScript names no types: a parameter can be anything there.
  strict: false
}

// What a body, parameters, events or errors hold is the application's business.
const ofUnknown = [/on type '(?:unknown|\{\}|Error)'/, /Type 'unknown' is not assignable/]

/** Compiles snippets; returns what is wrong with them, each with its page and line. */
function compile (snippets: readonly Snippet[]): string[] {
  // Without an import or an export it would be a script, and its names would be everybody's.
  const files = new Map(snippets.map((snippet) => {
    const isModule = snippet.language === 'cjs' || /^(?:import|export) /m.test(snippet.code)
    const code = isModule ? snippet.code : `${snippet.code}\nexport {}\n`
    return [write({ ...snippet, code }, 'snippets'), snippet]
  }))
  const program = ts.createProgram([...ambient, ...files.keys()], options)
  return [...files].flatMap(([file, { page, line }]) => {
    const source = program.getSourceFile(file)
    if (source === undefined) return [`${page}:${line} was not read`]
    const found = [
      ...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)
    ]
    return found.flatMap(({ start = 0, messageText }) => {
      const message = ts.flattenDiagnosticMessageText(messageText, ' ')
      const at = line + source.getLineAndCharacterOfPosition(start).line
      return ofUnknown.some((each) => each.test(message)) ? [] : [`${page}:${at} ${message}`]
    })
  })
}

const wrong = Object.entries({
  option: `import authPlugin from 'fastify-jwt-sessions'
await fastify.register(authPlugin, { secret, prefx: '/' })`,
  method: 'await fastify.sessions.revokeEverything(sub)',
  import: "import { createClients } from 'fastify-jwt-sessions/client'",
  package: "import 'no-such-package'",
  syntax: 'const x = {'
}).map(([name, code]) => ({ page: `wrong ${name}`, line: 1, language: 'js', code }))

t.test('every snippet of the README and of docs compiles against the package', async (t) => {
  const snippets = pages.flatMap(snippetsOf)
  t.ok(snippets.length > 30, `${snippets.length} snippets`)
  const complaints = compile([...snippets, ...wrong])
  t.strictSame(complaints.filter((text) => !text.startsWith('wrong ')), [])
  for (const { page } of wrong) {
    t.ok(complaints.some((text) => text.startsWith(page)), `what is wrong is found: ${page}`)
  }
})

t.test('the snippets on testing are tests that pass', async (t) => {
  const page = 'docs/testing.md'
  const files = snippetsOf(page).map((snippet) => write(snippet, 'snippets-run'))
  const tests = files.filter((file) => !file.endsWith('app.mjs'))
  const args = ['--test', '--test-reporter=tap', ...tests]
  // Under a test runner of its own, node:test would report to that one.
  const { NODE_TEST_CONTEXT, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  t.match(stdout, /^# pass 5$/m)
  t.match(stdout, /^# fail 0$/m)
})
