// npm run test:package: packs the tarball, installs it as an application would, and checks its
// types, its ways in, and what it does under other test runners.
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compileConsumers } from './consumers.mjs'
import { runners, runUnderRunners } from './runners.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'package-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

const run = promisify(execFile)
const bin = (name, ...path) => join(root, 'node_modules', name, ...path)
const { devDependencies, dependencies } =
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const started = performance.now()
const step = (what) =>
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${what}`)

const npm = (...args) => execFileSync('npm', [...args, '--silent', '--no-audit', '--no-fund'],
  { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
const tarball = join(folder, npm('pack', '--pack-destination', folder).trim().split('\n').at(-1))
step('packed')

await Promise.all([
  run(process.execPath, [bin('publint', 'src/cli.js'), 'run', tarball, '--strict']),
  run(process.execPath, [bin('@arethetypeswrong/cli', 'dist/index.js'), tarball,
    '--profile', 'node16', '--exclude-entrypoints', './client', './client/dpop'])
]).catch(fail)
step('publint and attw have nothing to say')

// What the type tests import beside the package, and nothing that the package itself should bring.
const companions = ['@fastify/auth', '@fastify/type-provider-typebox', '@types/node', 'fastify',
  'fastify-type-provider-zod', 'ioredis', 'ioredis5', 'iovalkey', 'typebox', 'zod']
writeFileSync(join(folder, 'package.json'), JSON.stringify({
  private: true,
  dependencies: {
    'fastify-jwt-sessions': `file:${tarball}`,
    '@fastify/jwt': dependencies['@fastify/jwt'],
    ...Object.fromEntries(companions.map((name) => [name, devDependencies[name]])),
    ...runners
  }
}))
npm('install', '--prefix', folder, '--prefer-offline', '--legacy-peer-deps')
step('installed')

step(`${await compileConsumers(folder).catch(fail)} programs compile`)

writeFileSync(join(folder, 'run.mjs'), `
import assert from 'node:assert'
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import authPlugin, { MemoryStore, RedisStore } from 'fastify-jwt-sessions'
import { createClient } from 'fastify-jwt-sessions/client'
import { dpopFetch } from 'fastify-jwt-sessions/client/dpop'
import { loginAs, storeContract } from 'fastify-jwt-sessions/testing'
const require = createRequire(import.meta.url)
const required = require('fastify-jwt-sessions')
for (const plugin of [authPlugin, required, required.default, required.authPlugin]) {
  assert.equal(plugin, authPlugin, 'one copy of the module')
}
assert.deepEqual([MemoryStore, RedisStore], [required.MemoryStore, required.RedisStore])
assert.deepEqual([typeof createClient, typeof dpopFetch], ['function', 'function'])
assert.deepEqual({ loginAs, storeContract }, { ...require('fastify-jwt-sessions/testing') })
const app = Fastify()
await app.register(authPlugin, { secret: 'x'.repeat(32), store: new MemoryStore() })
app.post('/login', (_request, reply) => reply.login({ sub: 'ada' }))
const login = await app.inject({ method: 'POST', url: '/login' })
const refresh = async (headers) =>
  (await app.inject({ method: 'POST', url: '/auth/refresh', headers })).statusCode
assert.equal(await refresh({ cookie: login.headers['set-cookie'].split(';')[0] }), 200)
assert.equal(await refresh((await loginAs(app, { sub: 'ada' })).headers), 200)
await app.close()
`)
await run(process.execPath, [join(folder, 'run.mjs')]).catch(fail)
step('it runs by import, named imports and require')

await runUnderRunners(folder).catch(fail)
step('tests with fake timers run under node:test, Vitest and Jest')

await run(process.execPath,
  [bin('typescript', 'lib/tsc.js'), '-p', join(root, 'examples/nestjs')]).catch(fail)
step('the NestJS example compiles')

function fail ({ stdout, stderr, message }) {
  console.error(stdout, stderr, message)
  process.exit(1)
}
