// One node of an application that closes when it is told to, in a process of its own. Argument: the
// socket of its Redis.
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import authPlugin from '../../lib/index'
import { secret } from './app'

async function start (path: string): Promise<void> {
  const app = Fastify()
  // A minute: what inherits this would be seen to wait.
  const options = { path, disconnectTimeout: 60_000 }
  const redis = new Redis(options)
  await app.register(authPlugin, { secret, redis, revocation: 'push' })
  await app.ready()
  process.once('message', () => {
    redis.disconnect()
    redis.stream.destroy()
    process.disconnect()
    app.close().catch(() => { process.exitCode = 1 })
  })
  process.send?.('ready')
}

start(process.argv[2] ?? '').catch(() => process.exit(1))
