import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { BindingBrowser } from './support/dbsc/browser'
import { over } from './support/dbsc/over'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

type Test = InstanceType<typeof import('tap').Test>

const example = join(__dirname, '../examples/devices/server.mjs')

interface Device {
  sid: string
  device: string | null
  bound: string | null
  createdAt: number
  refreshedAt: number
  current: boolean
}

/** Runs the example as its reader would; answers its address. */
async function run (t: Test, env: Record<string, string> = {}): Promise<string> {
  const child = spawn(process.execPath, [example], {
    env: { ...process.env, ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [line] = await once(createInterface(child.stdout), 'line') as [string]
  return `http://127.0.0.1:${new URL(line).port}`
}

/** A user's device, which knows the address of a server and keeps an access token. */
class Client {
  token = ''
  constructor (
    readonly origin: string,
    readonly name: string
  ) {}

  async call (
    method: string,
    path: string,
    body?: object
  ): Promise<{ status: number, body: unknown }> {
    const headers = {
      authorization: `Bearer ${this.token}`,
      'user-agent': this.name,
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    }
    const response = await fetch(this.origin + path, {
      method,
      headers,
      body: body && JSON.stringify(body)
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  async login (username = 'ada', password = 'lovelace'): Promise<number> {
    const { status, body } = await this.call('POST', '/login', { username, password })
    this.token = String((body as { access_token?: string } | undefined)?.access_token)
    return status
  }

  async devices (): Promise<Device[]> {
    return (await this.call('GET', '/devices')).body as Device[]
  }
}

t.test('the devices of a user', async (t) => {
  const server = await redisFor(t)
  const env = { REDIS_URL: server.path }
  const nodes = await Promise.all([run(t, env), run(t, env)]) as [string, string]
  const [phone, laptop, tablet, stranger] = [
    new Client(nodes[0], 'phone'),
    new Client(nodes[1], 'laptop'),
    new Client(nodes[1], 'tablet'),
    new Client(nodes[0], 'stranger')
  ]
  for (const device of [phone, laptop, tablet]) t.equal(await device.login(), 200)
  t.equal(await stranger.login('grace', 'hopper'), 200)
  const out = async (device: Client) =>
    await until(
      `the ${device.name} to be out`,
      async () => (await device.call('GET', '/messages')).status === 401,
      5_000
    )

  t.test('are listed with a mark on the one that asks', async (t) => {
    const devices = await laptop.devices()
    t.strictSame(
      devices.map(({ device, current }) => ({ device, current })),
      [
        { device: 'phone', current: false },
        { device: 'laptop', current: true },
        { device: 'tablet', current: false }
      ]
    )
    t.match(devices[0], { createdAt: Number, refreshedAt: Number })
    t.ok(devices.every(({ createdAt, refreshedAt }) => refreshedAt >= createdAt))
  })

  t.test('are logged out one by one, on every node at once, and never by somebody else',
    async (t) => {
      const [, , { sid } = { sid: '' }] = await phone.devices()
      t.equal((await stranger.call('DELETE', `/devices/${sid}`)).status, 404)
      t.equal((await tablet.call('GET', '/messages')).status, 200)
      t.equal((await phone.call('DELETE', `/devices/${sid}`)).status, 204)
      t.equal((await phone.call('DELETE', `/devices/${sid}`)).status, 404)
      await out(tablet)
    }
  )

  t.test('are all logged out but the one at hand', async (t) => {
    await tablet.login()
    t.strictSame(await laptop.call('DELETE', '/devices'), { status: 200, body: { ended: 2 } })
    await out(phone)
    await out(tablet)
    t.equal((await laptop.devices()).length, 1)
  })

  t.test('are all logged out', async (t) => {
    await phone.login()
    t.equal((await laptop.call('POST', '/leave')).status, 204)
    await out(phone)
    await out(laptop)
    t.equal((await stranger.call('GET', '/messages')).status, 200)
  })
})

t.test('the list says which devices are bound', async (t) => {
  const origin = await run(t)
  const body = { username: 'ada', password: 'lovelace' }
  const [bound, unbound] = [0, 1].map(() => new BindingBrowser(over(origin, body)))
  await bound?.bind()
  await unbound?.login()
  const phone = new Client(origin, 'phone')
  await phone.login()
  t.match(await phone.devices(), [{ bound: 'dbsc' }, { bound: null }, { bound: null }])
  t.equal((await bound?.refresh())?.statusCode, 200)
  t.equal((await bound?.thief().refresh())?.statusCode, 401)
})

t.test('a change of password logs out all other devices', async (t) => {
  const origin = await run(t)
  const [phone, laptop] = [new Client(origin, 'phone'), new Client(origin, 'laptop')]
  await phone.login()
  await laptop.login()
  t.equal((await phone.call('PUT', '/password', { current: 'wrong', next: 'byron' })).status, 403)
  t.equal((await laptop.call('GET', '/messages')).status, 200)
  t.strictSame(await phone.call('PUT', '/password', { current: 'lovelace', next: 'byron' }), {
    status: 200,
    body: { ended: 1 }
  })
  t.match((await laptop.call('GET', '/messages')).body, { code: 'SESSION_REVOKED' })
  t.equal((await phone.call('GET', '/messages')).status, 200)
  t.equal(await laptop.login(), 403)
  t.equal(await laptop.login('ada', 'byron'), 200)
  t.equal((await laptop.call('DELETE', '/account')).status, 204)
  t.equal((await phone.call('GET', '/messages')).status, 401)
  t.equal(await laptop.login('ada', 'byron'), 403)
})

t.test('docs/sessions.md shows the routes of the example, word for word', async (t) => {
  const code = readFileSync(example, 'utf8')
  const text = readFileSync(join(__dirname, '../docs/sessions.md'), 'utf8')
  const snippets = [...text.matchAll(/```js\n([^]*?)```/g)]
    .map(([, snippet = '']) => snippet)
    .filter((snippet) => !snippet.includes('claims: async')) // which the example has not
  t.equal(snippets.length, 5)
  for (const snippet of snippets) {
    for (const part of snippet.trim().split('\n\n')) t.ok(code.includes(part), part)
  }
})
