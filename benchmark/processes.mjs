import { Redis } from 'ioredis'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const taskset = existsSync('/usr/bin/taskset')

/**
 * Starts a module on one core, where the system can pin; answers the child once it has sent its
 * first message.
 */
export function start (core, file, ...args) {
  const pinned = taskset
    ? { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath, ...process.execArgv] }
    : {}
  const child = fork(new URL(file, import.meta.url), args.map(String), pinned)
  child.once('exit', (code) => {
    if (code) throw new Error(`${file} ${args.join(' ')} ended with ${code}`)
  })
  return child
}

/** Sends a message to a child and answers its reply. */
export async function ask (child, message = {}) {
  child.send(message)
  return (await once(child, 'message'))[0]
}

/**
 * Starts a redis-server of our own that keeps nothing on disk; `cpu` answers the microseconds that
 * it has used, `commands` how many commands it has run, those of scripts included.
 */
export async function startRedis (core, more = []) {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'benchmark-'))
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    dir,
    ...more
  ]
  const [command, ...args] = [
    ...(taskset ? ['taskset', '-c', String(core)] : []),
    'redis-server',
    ...options
  ]
  const server = spawn(command, args, { stdio: 'ignore' })
  process.once('exit', () => { server.kill() })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  const client = new Redis({ port })
  client.on('error', () => {}) // until the server listens
  await client.ping()
  return {
    port,
    client,
    cpu: async () => {
      const info = await client.info('cpu')
      const [sys, user] = [/used_cpu_sys:([\d.]+)/, /used_cpu_user:([\d.]+)/].map((field) =>
        Number(field.exec(info)[1])
      )
      return (sys + user) * 1e6
    },
    commands: async () =>
      Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))[1]),
    stop: async () => {
      client.disconnect()
      server.kill()
      await once(server, 'exit')
      rmSync(dir, { recursive: true })
    }
  }
}

/** Answers a port that nobody listens on. */
export async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await once(server.close(), 'close')
  return port
}
