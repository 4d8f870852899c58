import { execFileSync, fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { subscribe, type Publisher } from '../lib/store/redis/subscription'
import { clusterFor } from './support/servers/cluster'
import { freePort } from './support/servers/free-port'
import { temporaryFolder } from './support/servers/launch'
import { redisFor } from './support/servers/redis'
import { sentinelFor } from './support/servers/sentinel'
import { until } from './support/servers/until'

type Test = InstanceType<typeof import('tap').Test>

const channel = 'jwt:ended'

/**
 * Listens through a client until the test ends; `heard` is what it says, in order, and `next` waits
 * for what comes after what it found last.
 */
function listenTo (t: Test, client: unknown) {
  const heard: string[] = []
  const close = subscribe(client as Publisher, channel, {
    ended: (sid) => { heard.push(sid) },
    lost: ({ message }) => { heard.push(`lost: ${message}`) },
    listening: () => { heard.push('listening') }
  })
  t.teardown(close)
  let found = 0
  const next = async (what: RegExp) =>
    await until(
      () => `${what} after the first ${found} of ${heard.join(', ')}`,
      () => {
        const at = heard.findIndex((line, i) => i >= found && what.test(line))
        if (at >= 0) found = at + 1
        return at >= 0
      }
    )
  return { heard, close, next }
}

/** A client without a server: what is published comes back unless it is told otherwise. */
class FakeClient extends EventEmitter {
  readonly connections: FakeConnection[] = []
  echoes = true
  publishes = 0

  async publish (channel: string, message: string): Promise<void> {
    this.publishes++
    if (this.echoes) for (const connection of this.connections) connection.hear(channel, message)
  }

  duplicate (): FakeConnection {
    const connection = new FakeConnection()
    this.connections.push(connection)
    return connection
  }
}

class FakeConnection extends EventEmitter {
  readonly channels = new Set<string>()
  readonly connected: Promise<void>
  connects: () => void = () => {}
  disconnected = false
  constructor () {
    super()
    this.connected = new Promise((resolve) => {
      this.connects = resolve
    })
  }

  async connect (): Promise<void> {
    await this.connected
  }

  async subscribe (...channels: string[]): Promise<void> {
    for (const channel of channels) this.channels.add(channel)
  }

  disconnect (): void {
    this.disconnected = true
  }

  hear (channel: string, message: string): void {
    if (this.channels.has(channel)) this.emit('message', channel, message)
  }
}

/** A cluster of such clients. */
class FakeCluster extends FakeClient {
  constructor (readonly masters: FakeClient[]) { super() }
  nodes (): FakeClient[] { return this.masters }
}

/** Lets connections to these masters be made at once, and hear what goes through any of them. */
function connectAll (masters: FakeClient[]): void {
  let current: FakeConnection | undefined
  for (const master of masters) {
    master.duplicate = () => {
      current = FakeClient.prototype.duplicate.call(master)
      current.connects()
      return current
    }
    master.publish = async (channel, message) => {
      master.publishes++
      if (master.echoes) current?.hear(channel, message)
    }
  }
}

const settle = async () => await new Promise(setImmediate)

t.test('before the first heartbeat has come back there is no trust, yet news counts', async (t) => {
  const client = new FakeClient()
  client.echoes = false
  const { heard, next } = listenTo(t, client)
  const [connection] = client.connections
  connection?.connects()
  await settle()
  connection?.hear(channel, 'a session')
  t.strictSame(heard, ['a session'])
  await next(/^lost: no heartbeat came through/)
  t.ok(connection?.disconnected)
})

t.test('a heartbeat goes through every master of a cluster', async (t) => {
  const [a, b] = [new FakeClient(), new FakeClient()]
  connectAll([a, b])
  const { heard, next } = listenTo(t, new FakeCluster([a, b]))
  await next(/^listening/)
  t.equal(a.publishes, 1)
  t.equal(b.publishes, 1)
  b.echoes = false
  await next(/^lost: no heartbeat came through/)
  await next(/^lost: no heartbeat came through/)
  t.equal(heard.filter((line) => line === 'listening').length, 1, 'while one is missing')
  b.echoes = true
  await next(/^listening/)
})

t.test('a master that was none before may have lost sessions: that is a gap', async (t) => {
  const [a, b] = [new FakeClient(), new FakeClient()]
  connectAll([a, b])
  const masters = [a]
  const { heard, next } = listenTo(t, new FakeCluster(masters))
  await next(/^listening/)
  masters.splice(0, 1, b)
  await next(/^lost: a master has changed/)
  await next(/^listening/)
  t.equal(heard.length, 3)
})

t.test('a client that has reconnected may ask another server: that is a gap', async (t) => {
  const client = new FakeClient()
  connectAll([client])
  const { close, heard, next } = listenTo(t, client)
  client.emit('ready')
  await next(/^listening/)
  t.equal(heard.length, 1, 'its first connection is none')
  client.emit('ready')
  await next(/^lost: the client has reconnected/)
  await next(/^listening/)
  close()
  client.emit('ready')
  t.equal(heard.length, 3)
})

t.test('a cluster of which no node is known yet is tried again', async (t) => {
  const cluster = new FakeCluster([])
  const { heard, next } = listenTo(t, cluster)
  t.strictSame(heard, ['lost: no node of the cluster is known'])
  const node = new FakeClient()
  cluster.masters.push(node)
  connectAll([node])
  await next(/^listening/)
  cluster.masters.length = 0
  await next(/^lost: no node/)
})

t.test('a connection that was given up has nothing to say any more, but for news', async (t) => {
  const client = new FakeClient()
  const { heard } = listenTo(t, client)
  const [connection] = client.connections
  connection?.emit('error', new Error('refused'))
  connection?.emit('error', new Error('refused again'))
  connection?.emit('close')
  connection?.connects()
  await settle()
  connection?.emit('message', channel, 'late news')
  t.strictSame(heard, ['lost: refused', 'late news'])
  t.equal(client.publishes, 0)
})

t.test('closing while a connection is being made ends all of it', async (t) => {
  const client = new FakeClient()
  const { heard, close } = listenTo(t, client)
  const [connection] = client.connections
  close()
  t.ok(connection?.disconnected)
  connection?.connects()
  connection?.emit('close')
  await settle()
  t.strictSame(heard, [])
  t.equal(client.publishes, 0)
})

t.test('a process that was busy for longer than a heartbeat takes does not count itself as cut off', async (t) => {
  const server = await redisFor(t)
  const client = server.client()
  await client.ping()
  const publish = client.publish.bind(client)
  client.publish = (async (...args: Parameters<typeof publish>) => {
    client.publish = publish
    // Once the heartbeat is on its way and its deadline runs.
    queueMicrotask(() => {
      const end = performance.now() + 1_100
      while (performance.now() < end);
    })
    return await publish(...args)
  }) as typeof publish
  const { heard, next } = listenTo(t, client)
  await next(/./)
  t.strictSame(heard, ['listening'])
})

t.test('closing leaves nothing open, also while the server stands still', async (t) => {
  for (const still of [false, true]) {
    const server = await redisFor(t)
    const child = fork(join(__dirname, 'support/closing.ts'), [server.path])
    await once(child, 'message')
    const subscribers = async () =>
      Number(((await server.client().call('PUBSUB', 'NUMSUB', channel)) as unknown[])[1])
    t.equal(await subscribers(), 1)
    if (still) await server.pause()
    const start = performance.now()
    child.send('close')
    const [code] = await once(child, 'exit')
    t.equal(code, 0)
    t.ok(performance.now() - start < 30_000, 'and nothing is waited for')
    if (still) await server.resume()
    await until('the server to have no subscriber', async () => await subscribers() === 0)
  }
})

t.test('over TLS, the connection of its own is made as the client was', async (t) => {
  const folder = temporaryFolder()
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '2',
      '-subj',
      '/CN=localhost'
    ],
    { stdio: 'ignore' }
  )
  const port = await freePort()
  const server = await redisFor(t, {
    args: [
      '--tls-port',
      String(port),
      '--tls-cert-file',
      cert,
      '--tls-key-file',
      key,
      '--tls-ca-cert-file',
      cert,
      '--tls-auth-clients',
      'no'
    ]
  })
  const client = server.client({
    path: undefined,
    host: '127.0.0.1',
    port,
    tls: { ca: readFileSync(cert), servername: 'localhost' }
  })
  const { heard, next } = listenTo(t, client)
  await next(/^listening/)
  await server.client().publish(channel, 'a session')
  await next(/^a session/)
  t.strictSame(heard, ['listening', 'a session'])
})

t.test('after a failover the new master is listened to', async (t) => {
  const group = await sentinelFor(t)
  const client = group.client()
  const { next } = listenTo(t, client)
  await next(/^listening/)
  await group.master.kill()
  await next(/^lost/)
  await next(/^listening/)
  await client.publish(channel, 'a session')
  await next(/^a session/)
})

t.test('a master of a cluster that stands still is noticed, also by who listens to another', async (t) => {
  const cluster = await clusterFor(t)
  const client = cluster.client()
  await client.ping()
  const { next } = listenTo(t, client)
  await next(/^listening/)
  const counts = await Promise.all(
    cluster.nodes.map(async (node) =>
      Number(((await cluster.admin(node).call('PUBSUB', 'NUMSUB', channel)) as unknown[])[1])
    )
  )
  t.equal(counts.filter((count) => count === 1).length, 1)
  const other = cluster.nodes[counts.indexOf(0)]
  await other?.pause()
  await next(/^lost: no heartbeat/)
  await other?.resume()
  await next(/^listening/)
})
