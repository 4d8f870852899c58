// Compiles what applications write against the package, with each TypeScript that is supported.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
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
  const builds = new Map()
  const program = (compiler, resolution, name, files, options = {}, cwd = folder) => {
    const config = `${compiler}, ${resolution}, ${name}.json`
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
    writeFileSync(join(cwd, config), JSON.stringify({ compilerOptions, files }))
    const id = `${compiler} ${cwd}`
    if (!builds.has(id)) builds.set(id, { compiler, cwd, configs: [] })
    builds.get(id).configs.push(config)
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
  const strictest = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true }
  for (const compiler of Object.keys(compilers)) {
    program(compiler, 'nodenext', 'optional members', ['exact.mts'], strictest)
    program(compiler, 'bundler', 'claims of FastifyJWT', ['payload.mts'])
  }
  program('6', 'nodenext', 'claims that nobody typed', ['unaugmented.mts'])
  program('6', 'node16', 'the declarations themselves', ['required.cts'], { skipLibCheck: false })

  // As pnpm lays packages out: an application sees those that it names, by links.
  const linked = mkdtempSync(join(tmpdir(), 'pnpm-'))
  process.on('exit', () => rmSync(linked, { recursive: true, force: true }))
  for (const name of ['fastify', 'fastify-jwt-sessions', '@types/node']) {
    mkdirSync(dirname(join(linked, 'node_modules', name)), { recursive: true })
    symlinkSync(join(folder, 'node_modules', name), join(linked, 'node_modules', name))
  }
  cpSync(join(root, 'test/types'), linked, { recursive: true })
  for (const compiler of Object.keys(compilers)) {
    for (const resolution of Object.keys(resolutions)) {
      for (const file of ['claims.mts', 'claims.cts', 'unaugmented.mts']) {
        program(compiler, resolution, `pnpm, ${file}`, [file], {}, linked)
      }
    }
  }

  const queue = [...builds.values()]
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { compiler, cwd, configs } = next
      // One process for them all reads each declaration once. It names the program it is at.
      const args = [join(root, 'node_modules', compilers[compiler]), '--build', '-v', ...configs]
      await run(process.execPath, args, { cwd })
    }
  }))
  return [...builds.values()].flatMap(({ configs }) => configs).length
}
