import Fastify from 'fastify'
import t, { type Test } from 'tap'
import authPlugin, { MemoryStore, type RefreshTokenOptions } from '../lib/index'
import { secret } from './support/app'

async function start (t: Test, refreshToken: RefreshTokenOptions = {}) {
  const warnings: string[] = []
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line)
    if (level === 40 && /does not keep/.test(msg)) warnings.push(msg)
  }
  const app = Fastify({ logger: { level: 'warn', stream: { write } } })
  t.teardown(() => app.close())
  await app.register(authPlugin, { secret, store: new MemoryStore(), refreshToken })
  app.post('/login', (_request, reply) => reply.login({ sub: 'ada' }))
  const login = async (headers: Record<string, string>) => {
    const { statusCode } = await app.inject({ method: 'POST', url: '/login', headers })
    t.equal(statusCode, 200)
  }
  return { login, warnings }
}

const mixed = {
  host: '127.0.0.1:3000', origin: 'http://localhost:5173', 'sec-fetch-site': 'cross-site'
}
const plain = { host: '192.168.1.5:3000', origin: 'http://192.168.1.5:3000' }

t.test('a login from localhost to 127.0.0.1 is warned of, once', async (t) => {
  const { login, warnings } = await start(t)
  await login(mixed)
  await login(mixed)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /two sites.*use one of the names/)
})

t.test('a login by plain http on a host that is not local is warned of, once', async (t) => {
  const { login, warnings } = await start(t)
  await login(plain)
  await login(plain)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /Secure.*use https/)
})

t.test('where the browser keeps the cookie, or there is a doubt, nothing is said', async (t) => {
  const { login, warnings } = await start(t)
  await login({ host: '192.168.1.5:3000' })
  await login({ host: 'localhost:3000', origin: 'http://localhost:3000' })
  await login({ ...mixed, host: 'localhost:3000', 'sec-fetch-site': 'same-site' })
  await login({ host: 'app.example.com', origin: 'https://app.example.com' })
  await login({ ...plain, 'sec-fetch-site': 'same-origin' })
  await login({ ...plain, origin: 'null' })
  const open = await start(t, { cookie: { secure: false } })
  await open.login(plain)
  const none = await start(t, { cookie: { sameSite: 'none' } })
  await none.login(mixed)
  t.strictSame([warnings, open.warnings, none.warnings], [[], [], []])
})
