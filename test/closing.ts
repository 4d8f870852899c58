// One node of an application that closes when it is told to, in a process of its own. Argument: the socket of its Redis.
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import authPlugin from '../lib/index'
import { secret } from './app'

async function start (path: string): Promise<void> {
  const app = Fastify()
  const redis = new Redis({ path })
  await app.register(authPlugin, { secret, redis, revocation: 'push' })
  await app.ready()
  process.once('message', () => {
    redis.disconnect()
    // By itself it waits for the server to hang up, which is the application's affair.
    redis.stream.destroy()
    process.disconnect()
    app.close().catch(() => { process.exitCode = 1 })
  })
  process.send?.('ready')
}

start(process.argv[2] ?? '').catch(() => process.exit(1))
