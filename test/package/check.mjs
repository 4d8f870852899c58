// npm run test:package: packs the tarball, installs it as an application would, and checks its types and its ways in.
import { execFile, execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'package-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const run = promisify(execFile)
const bin = (name, ...path) => join(root, 'node_modules', name, ...path)
const { devDependencies, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const started = performance.now()
const step = (what) => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${what}`)

const npm = (...args) => execFileSync('npm', [...args, '--silent', '--no-audit', '--no-fund'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
const tarball = join(folder, npm('pack', '--pack-destination', folder).trim().split('\n').at(-1))
step('packed')

await Promise.all([
  run(process.execPath, [bin('publint', 'src/cli.js'), 'run', tarball, '--strict']),
  run(process.execPath, [bin('@arethetypeswrong/cli', 'dist/index.js'), tarball, '--profile', 'node16', '--exclude-entrypoints', './client', './client/dpop'])
]).catch(fail)
step('publint and attw have nothing to say')

// What the type tests import beside the package, and nothing that the package itself should bring.
const companions = ['@fastify/auth', '@fastify/type-provider-typebox', '@types/node', 'fastify', 'fastify-type-provider-zod', 'ioredis', 'ioredis5', 'iovalkey', 'typebox', 'zod']
writeFileSync(join(folder, 'package.json'), JSON.stringify({
  private: true,
  dependencies: {
    'fastify-jwt-sessions': `file:${tarball}`,
    '@fastify/jwt': dependencies['@fastify/jwt'],
    ...Object.fromEntries(companions.map((name) => [name, devDependencies[name]]))
  }
}))
npm('install', '--prefix', folder, '--prefer-offline', '--legacy-peer-deps')
step('installed')

cpSync(join(root, 'test/types'), folder, { recursive: true })
const resolutions = { node16: ['node16', 'node16'], nodenext: ['nodenext', 'nodenext'], bundler: ['preserve', 'bundler'] }
const compilers = { 5.6: 'typescript56', 5.9: 'typescript59', 6: 'typescript', 7: 'typescript7' }
const programs = []
const program = (compiler, resolution, name, files, options = {}) => {
  const [module, moduleResolution] = resolutions[resolution]
  const config = `tsconfig.${compiler}.${resolution}.${name}.json`
  const compilerOptions = { target: 'es2022', module, moduleResolution, strict: true, noEmit: true, lib: ['es2023'], types: ['node'], skipLibCheck: true, ...options }
  writeFileSync(join(folder, config), JSON.stringify({ compilerOptions, files }))
  programs.push({ what: `TypeScript ${compiler}, ${resolution}: ${name}`, args: [bin(compilers[compiler], compiler === '7' ? 'bin/tsc' : 'lib/tsc.js'), '-p', config] })
}
for (const compiler of Object.keys(compilers)) {
  for (const resolution of Object.keys(resolutions)) program(compiler, resolution, 'import and require', ['consumer.mts', 'required.cts'])
}
for (const compiler of ['5.6', '7']) program(compiler, 'nodenext', "other packages' types", ['neighbours.mts'])
program('6', 'nodenext', 'claims that nobody typed', ['unaugmented.mts'])
program('6', 'node16', 'the declarations themselves', ['required.cts'], { skipLibCheck: false })

const queue = [...programs]
await Promise.all(Array.from({ length: availableParallelism() }, async () => {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    await run(process.execPath, next.args, { cwd: folder }).catch((error) => { console.error(next.what); fail(error) })
  }
}))
step(`${programs.length} programs compile`)

writeFileSync(join(folder, 'run.mjs'), `
import assert from 'node:assert'
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, RedisStore } from 'fastify-jwt-sessions'
import { createClient } from 'fastify-jwt-sessions/client'
import { dpopFetch } from 'fastify-jwt-sessions/client/dpop'
const required = createRequire(import.meta.url)('fastify-jwt-sessions')
for (const plugin of [authPlugin, required, required.default, required.authPlugin]) assert.equal(plugin, authPlugin, 'one copy of the module')
assert.deepEqual([MemoryStore, RedisStore], [required.MemoryStore, required.RedisStore])
assert.deepEqual([typeof createClient, typeof dpopFetch], ['function', 'function'])
const app = Fastify()
await app.register(authPlugin, { secret: 'x'.repeat(32), store: new MemoryStore() })
app.post('/login', (_request, reply) => reply.login({ sub: 'ada' }))
const login = await app.inject({ method: 'POST', url: '/login' })
const headers = { cookie: login.headers['set-cookie'].split(';')[0] }
assert.equal((await app.inject({ method: 'POST', url: '/auth/refresh', headers })).statusCode, 200)
await app.close()
`)
await run(process.execPath, [join(folder, 'run.mjs')]).catch(fail)
step('it runs by import, named imports and require')

await run(process.execPath, [bin('typescript', 'lib/tsc.js'), '-p', join(root, 'examples/nestjs')]).catch(fail)
step('the NestJS example compiles')

function fail ({ stdout, stderr, message }) {
  console.error(stdout, stderr, message)
  process.exit(1)
}
