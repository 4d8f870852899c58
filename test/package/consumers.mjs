// Compiles what applications write against the package, with each TypeScript that is supported.
import { execFile } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

const compilers = {
  5.6: 'typescript56/lib/tsc.js',
  5.9: 'typescript59/lib/tsc.js',
  6: 'typescript/lib/tsc.js',
  7: 'typescript7/bin/tsc'
}
const resolutions = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'preserve', moduleResolution: 'bundler' }
}

/** @param folder where the package is installed. Resolves with how many programs compile. */
export async function compileConsumers (folder) {
  const programs = []
  const program = (compiler, resolution, name, files, options = {}) => {
    const config = `tsconfig.${compiler}.${resolution}.${name}.json`
    const compilerOptions = {
      ...resolutions[resolution],
      target: 'es2022',
      strict: true,
      noEmit: true,
      lib: ['es2023'],
      types: ['node'],
      skipLibCheck: true,
      ...options
    }
    writeFileSync(join(folder, config), JSON.stringify({ compilerOptions, files }))
    const what = `TypeScript ${compiler}, ${resolution}: ${name}`
    programs.push({ what, args: [join(root, 'node_modules', compilers[compiler]), '-p', config] })
  }

  cpSync(join(root, 'test/types'), folder, { recursive: true })
  for (const compiler of Object.keys(compilers)) {
    for (const resolution of Object.keys(resolutions)) {
      program(compiler, resolution, 'import and require', ['consumer.mts', 'required.cts'])
    }
  }
  for (const compiler of ['5.6', '7']) {
    program(compiler, 'nodenext', "other packages' types", ['neighbours.mts'])
  }
  program('6', 'nodenext', 'claims that nobody typed', ['unaugmented.mts'])
  program('6', 'node16', 'the declarations themselves', ['required.cts'], { skipLibCheck: false })

  const queue = [...programs]
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await run(process.execPath, next.args, { cwd: folder }).catch((error) => {
        console.error(next.what)
        throw error
      })
    }
  }))
  return programs.length
}
