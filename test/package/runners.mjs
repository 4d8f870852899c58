// The package under the test runners that applications use, with their fake timers, against both
// stores: node:test, Vitest, and Jest on the Node that it needs for Fastify.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const source = fileURLToPath(new URL('runners', import.meta.url))
const run = promisify(execFile)

/** What the folder must have installed: too much for everybody who changes the package. */
export const runners = { jest: '^30.0.0', vitest: '^4.0.0' }

/** @param folder where the package and the runners are installed */
export async function runUnderRunners (folder) {
  cpSync(source, join(folder, 'runners'), { recursive: true })
  const REDIS_SOCKET = join(folder, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', REDIS_SOCKET, '--save', '', '--appendonly', 'no']
  const redis = spawn('redis-server', args, { stdio: 'ignore' })
  try {
    while (!existsSync(REDIS_SOCKET)) await setTimeout(10)
    const { NODE_TEST_CONTEXT, ...env } = process.env
    const test = async (command, args, more = {}) =>
      await run(command, args, { cwd: folder, env: { ...env, REDIS_SOCKET, ...more } })
    await test(process.execPath, ['--test', 'runners/node.test.cjs'])
    await test(process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--root', '.', 'runners/vitest.test.mjs'])
    const jest = 'node node_modules/jest/bin/jest.js --testMatch "**/runners/jest.test.cjs"'
    await test('npx', ['-y', '-p', 'node@24', '-c', jest],
      { NODE_OPTIONS: '--experimental-vm-modules' })
  } finally {
    redis.kill()
    await once(redis, 'exit')
  }
}
