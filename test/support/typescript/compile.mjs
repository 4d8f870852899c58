// Compiles a file of TypeScript once, and keeps what came of it for every process that follows: to
// load the compiler takes a process longer than most files of tests. (tsx keeps files too, but what
// esbuild writes has branches and maps of its own, by which the coverage of lib cannot be counted.)
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../../..')
const cache = join(root, 'node_modules/.cache/typescript')
const require = createRequire(import.meta.url)

const config = readFileSync(join(root, 'tsconfig.json'), 'utf8')
const { version } = require('typescript/package.json')

/** The JavaScript of a file, with its source map; its types are not looked at. */
export function compile (path) {
  const source = readFileSync(path, 'utf8')
  const kept = join(cache, createHash('sha256')
    .update(JSON.stringify([version, config, path, source])).digest('hex'))
  try {
    return readFileSync(kept, 'utf8')
  } catch {
    const code = transpile(path, source)
    // Others compile the same file at the same time; each sees a whole one.
    mkdirSync(cache, { recursive: true })
    writeFileSync(`${kept}.${process.pid}`, code)
    renameSync(`${kept}.${process.pid}`, kept)
    return code
  }
}

function transpile (path, source) {
  const ts = require('typescript')
  const { config: { compilerOptions } } = ts.parseConfigFileTextToJson('tsconfig.json', config)
  const { outputText, sourceMapText } = ts.transpileModule(source, {
    fileName: path,
    compilerOptions: { ...compilerOptions, sourceMap: true }
  })
  const map = { ...JSON.parse(sourceMapText), sources: [path], sourceRoot: undefined }
  const code = outputText.replace(/\/\/# sourceMappingURL=.*\s*$/, '')
  const data = Buffer.from(JSON.stringify(map)).toString('base64')
  return `${code}//# sourceMappingURL=data:application/json;charset=utf-8;base64,${data}`
}
