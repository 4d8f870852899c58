// A node of two applications, in a process of its own: one for each `spentOn`, each with its own
// sessions. Its argument: how it reaches Redis, and the options of each, as JSON. It tells their
// addresses, and whenever one of them says in its log whether it hears which sessions end. A number
// that is sent to it sets its clock off by so many ms.
import { Cluster, Redis } from 'ioredis'
import { RedisStore } from '../../../lib/index'
import { build } from '../app'
import { storeTimeout } from './history'
import type { Given, Told } from './nodes'

const { reach, gracePeriod, durable } = JSON.parse(String(process.argv[2])) as Given
const redis = 'cluster' in reach
  ? new Cluster(reach.cluster, { natMap: reach.natMap, clusterRetryStrategy: () => 50 })
  : new Redis({ ...reach, retryStrategy: () => 20, sentinelRetryStrategy: () => 50 })
redis.on('error', () => {})

const tell = (told: Told): void => { process.send?.(told) }

/** The log of one application. */
const logOf = (spentOn: 'issue' | 'use') => ({
  level: 'info',
  stream: {
    write: (line: string) => {
      if (line.includes('pub/sub')) tell({ spentOn, hears: line.includes('listening on pub/sub') })
    }
  }
})

async function listen (spentOn: 'issue' | 'use'): Promise<string> {
  const app = await build({
    store: new RedisStore(redis, { prefix: `${spentOn}:` }),
    storeTimeout: storeTimeout / 1000,
    revocation: 'push',
    accessToken: { bound: true },
    refreshToken: { spentOn, gracePeriod: gracePeriod / 1000, bindings: ['dpop'] },
    durability: durable[spentOn] ? { replicas: 1 } : undefined
  }, { logger: logOf(spentOn) })
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

Promise.all([listen('issue'), listen('use')])
  .then(([issue, use]) => { tell({ origins: { issue, use } }) })
  .catch((error) => { tell({ error: String(error) }) })

const { now } = Date
process.on('message', (ms: number) => {
  Date.now = () => now() + ms
  tell({ clock: ms })
})
// It lives no longer than the test that has forked it.
process.on('disconnect', () => process.exit())
