import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from './support/servers/launch'
import { redisFor } from './support/servers/redis'

type Ranges = Record<string, string>
interface Package { version: string, dependencies: Ranges, devDependencies: Ranges }

const root = join(__dirname, '..')
const starter = join(root, 'examples/starter')
const read = (folder: string): Package =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** Copies the starter to a place of its own, with what it depends on; returns the folder. */
function copy (): string {
  const folder = join(temporaryFolder(), 'starter')
  cpSync(starter, folder, { recursive: true, filter: (path) => !path.endsWith('node_modules') })
  for (const name of Object.keys(read(starter).dependencies)) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    const ours = name === 'fastify-jwt-sessions'
    symlinkSync(ours ? root : join(root, 'node_modules', name), link)
  }
  return folder
}

t.test('the starter, copied to a place of its own, passes its own tests', async (t) => {
  const redis = await redisFor(t)
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, ...env } = process.env
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap'], {
    cwd: copy(), env: { ...env, REDIS_URL: redis.path }, stdio: ['ignore', 'pipe', 'inherit']
  })
  let report = ''
  child.stdout.on('data', (data: Buffer) => { report += data.toString() })
  const [code] = await once(child, 'close') as [number]
  t.equal(code, 0)
  if (code !== 0) t.comment(report)
  t.match(report, /# pass 6\n/)
})

t.test('the starter is told how many proxies there are, and refuses anything else', async (t) => {
  const cwd = copy()
  for (const given of ['true', '-1']) {
    const env = { PATH: process.env.PATH, AUTH_SECRET: 'x'.repeat(32), TRUST_PROXY: given }
    const options = { cwd, env, encoding: 'utf8' } as const
    const { status, stderr } = spawnSync(process.execPath, ['server.js'], options)
    t.equal(status, 1)
    t.match(stderr, /^TRUST_PROXY is how many proxies are in front of this service, .*\n$/)
  }
})

t.test('the starter asks for the versions of its dependencies that are tested here', async (t) => {
  const { version, devDependencies } = read(root)
  const { 'fastify-jwt-sessions': ours, ...others } = read(starter).dependencies
  t.equal(ours, `^${version}`)
  for (const [name, range] of Object.entries(others)) t.equal(range, devDependencies[name], name)
})
