import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { monitor } from './support/servers/monitor'
import { proxyFor } from './support/servers/proxy'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

t.test('a server answers, dies, comes back on the same socket and forgets', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  await client.set('a', '1')
  await server.restart()
  t.equal(await client.get('a'), null)
  await server.kill()
  await server.start()
  t.equal(await client.ping(), 'PONG')
})

t.test('a paused server answers once it is resumed', async (t) => {
  const server = await redisFor(t)
  const client = server.client({ commandTimeout: 50 })
  await client.ping()
  await server.pause()
  await t.rejects(client.ping(), { message: 'Command timed out' })
  await server.resume()
  t.equal(await client.ping(), 'PONG')
})

t.test('a monitor shows what clients send and not what scripts call', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  const watch = await monitor(server)
  await client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, 'key', 'value')
  t.match(await watch.flush(), [['eval', String, '1', 'key', 'value']])
  t.same(await watch.flush(), [])
})

t.test('a proxy delays some of what comes, and keeps all of it in order', async (t) => {
  const server = await redisFor(t)
  const proxy = await proxyFor(t, server)
  const client = server.client({ path: proxy.path })
  const answers: Promise<number>[] = []
  for (let i = 0; i < 400; i++) {
    proxy.replies = i % 3 === 0 ? { delay: 20 } : 'pass'
    answers.push(client.incr('count'))
    await new Promise((resolve) => setTimeout(resolve, i % 2))
  }
  t.strictSame(await Promise.all(answers), answers.map((_, i) => i + 1))
})

t.test('a proxy holds, delays, swallows, cuts and refuses', async (t) => {
  const server = await redisFor(t)
  const proxy = await proxyFor(t, server)
  const client = server.client({
    path: proxy.path,
    autoResendUnfulfilledCommands: false,
    commandTimeout: 250,
    enableOfflineQueue: false
  })
  const count = server.client()
  const back = () => until('the client to be back', () => client.status === 'ready')
  await back()

  proxy.requests = 'hold'
  await t.rejects(client.incr('held'), { message: 'Command timed out' })
  t.equal(await count.get('held'), null)
  proxy.heal()
  await until('what was held to arrive', () => count.get('held'))

  proxy.replies = { delay: 50 }
  const start = performance.now()
  await client.incr('late')
  t.ok(performance.now() - start > 45)
  proxy.heal()

  proxy.replies = 'swallow'
  await t.rejects(client.incr('swallowed'), { message: 'Command timed out' })
  t.equal(await count.get('swallowed'), '1')
  proxy.heal()
  await until('the connection to be cut', () => client.status !== 'ready')
  await back()

  proxy.replies = { cut: 2 }
  await t.rejects(client.incr('cut'))
  t.equal(await count.get('cut'), '1')
  proxy.heal()
  await back()

  await proxy.close()
  await until('the client to notice', () => client.status !== 'ready')
  await t.rejects(client.incr('refused'))
  await proxy.open()
  await back()
  t.equal(await count.get('refused'), null)
})

t.test('a machine without a program that the tests need', {
  skip: process.platform !== 'linux' && 'installs by another program there'
}, async (t) => {
  const script = join(__dirname, 'support/requirements.cjs')
  const ask = (env: Record<string, string>) => {
    const { status, stdout, stderr } =
      spawnSync(process.execPath, [script, 'redis-server'], { env, encoding: 'utf8' })
    return { status, stdout, lines: stderr.split('\n').filter(Boolean) }
  }
  const write = (folder: string, name: string, ...lines: string[]): string => {
    const path = join(folder, name)
    writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'))
    chmodSync(path, 0o755)
    return path
  }
  const server = (version: string) => `echo "Redis server v=${version} sha=00000000:0"`

  t.test('is told what to install, in one sentence', async (t) => {
    t.strictSame(ask({ PATH: t.testdir() }), {
      status: 1,
      stdout: '',
      lines: ['redis-server is missing: apt-get install redis-server, as root, installs it, ' +
        'or REDIS_SERVER=<path> names one.']
    })
    const { status, lines } = ask({ REDIS_SERVER: '/nowhere' })
    t.equal(status, 1)
    t.strictSame(lines, ['REDIS_SERVER names /nowhere, which is not a program here.'])
  })

  t.test('is told that a server is too old', async (t) => {
    const REDIS_SERVER = write(t.testdir(), 'redis-server', server('6.2.14'))
    const { status, lines } = ask({ REDIS_SERVER })
    t.equal(status, 1)
    t.match(lines, [/is version 6: the tests need Redis or Valkey 7 or newer/])
    t.equal(lines.length, 1)
  })

  t.test('has it installed, if the user may', async (t) => {
    const folder = t.testdir()
    const installed = join(folder, 'redis-server')
    write(folder, 'sudo', 'shift', 'test "$1" = true || exec "$@"')
    write(folder, 'apt-get', 'test "$1" = install || exit 0',
      `echo '${server('7.4.1')}' > ${installed}`, `/bin/chmod 755 ${installed}`)
    const { status, stdout, lines } = ask({ PATH: folder })
    t.strictSame({ status, lines }, { status: 0, lines: [] })
    t.match(stdout, /apt-get install .*redis-server/)
  })
})
