import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from './support/servers/launch'
import { redisFor } from './support/servers/redis'

const root = join(__dirname, '..')
const starter = join(root, 'examples/starter')

t.test('the starter, copied to a place of its own, passes its own tests', async (t) => {
  const redis = await redisFor(t)
  const folder = join(temporaryFolder(), 'starter')
  cpSync(starter, folder, { recursive: true, filter: (path) => !path.endsWith('node_modules') })
  const { dependencies } = JSON.parse(readFileSync(join(starter, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  for (const name of Object.keys(dependencies)) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(name === 'fastify-jwt-sessions' ? root : join(root, 'node_modules', name), link)
  }
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, ...env } = process.env
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap'], { cwd: folder, env: { ...env, REDIS_URL: redis.path }, stdio: ['ignore', 'pipe', 'inherit'] })
  let report = ''
  child.stdout.on('data', (data: Buffer) => { report += data.toString() })
  const [code] = await once(child, 'close') as [number]
  t.equal(code, 0)
  if (code !== 0) t.comment(report)
  t.match(report, /# pass 5\n/)
})

t.test('the starter asks for the versions of its dependencies that are tested here', async (t) => {
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string, devDependencies: Record<string, string> }
  const { dependencies } = JSON.parse(readFileSync(join(starter, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  const { 'fastify-jwt-sessions': ours, ...others } = dependencies
  t.equal(ours, `^${own.version}`)
  for (const [name, range] of Object.entries(others)) t.equal(range, own.devDependencies[name], name)
})
