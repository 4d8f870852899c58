// What `npm start` says when something is in its way.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { redisFor } from './support/servers/redis'

type Teardown = { teardown: (done: () => unknown) => unknown }

/** Runs the demo until it listens or ends; resolves with what it has written, and its exit code. */
async function start (t: Teardown, env: Record<string, string>) {
  const demo = join(__dirname, '../examples/basic/server.mjs')
  const child = spawn(process.execPath, [demo], {
    env: { PATH: process.env.PATH, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let out = ''
  let errors = ''
  child.stderr.on('data', (data: Buffer) => { errors += data.toString() })
  const listening = new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString()
      if (out.includes('Sessions are ')) resolve()
    })
  })
  await Promise.race([listening, once(child, 'close')])
  return { out, errors, code: child.exitCode }
}

/** Listens on a free port of this machine, and never says a word. */
async function silent (t: Teardown): Promise<number> {
  const server = createServer(() => {}).listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('a port that is taken is one sentence, which says how to choose another', async (t) => {
  const port = await silent(t)
  const { errors, code } = await start(t, { PORT: String(port) })
  t.equal(code, 1)
  t.equal(errors, `Port ${port} is taken. Choose another: PORT=${port + 1} npm start\n`)
})

t.test('a Redis that does not answer is one sentence, without its password', async (t) => {
  const dead = await start(t, { REDIS_URL: 'redis://ada:lovelace@127.0.0.1:1' })
  t.equal(dead.code, 1)
  t.match(dead.errors, /^REDIS_URL names redis:\/\/127\.0\.0\.1:1, .*ECONNREFUSED.*\n$/)

  const mute = await start(t, { REDIS_URL: `redis://localhost:${await silent(t)}` })
  t.equal(mute.code, 1)
  t.match(mute.errors, /^REDIS_URL names .* no Redis answers there \(not within 3 s\).*\n$/)
})

t.test('an option that is wrong is one sentence', async (t) => {
  const { errors, code } = await start(t, { AUTH_SECRET: 'short' })
  t.equal(code, 1)
  t.match(errors, /^The option secret .*\n$/)
})

t.test('where sessions are kept is said aloud', async (t) => {
  const memory = await start(t, {})
  t.match(memory.out, /^Sessions are in memory, since REDIS_URL is not set: .*\n$/m)
  const redis = await start(t, { REDIS_URL: (await redisFor(t)).path })
  t.match(redis.out, /^Sessions are in Redis: .*\n$/m)
})
