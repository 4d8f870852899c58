import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AuthPluginOptions } from '../lib/index'
import { build, day } from './support/app'
import { age } from './support/age'
import { clusterFor } from './support/servers/cluster'
import { redisFor, type RedisServer } from './support/servers/redis'
import { replicatedFor } from './support/servers/replica'
import { until } from './support/servers/until'

const page = readFileSync(join(__dirname, '../docs/redis.md'), 'utf8')
// The rules that the page tells an operator to type.
const [, text = ''] = /^ACL SETUSER app on >secret (.*)$/m.exec(page) ?? []
const rules = text.split(' ')
const commands = rules.filter((rule) => rule.startsWith('+'))

/** The rules that the page adds to these. */
function also (what: string): string[] {
  const [, more = ''] = new RegExp(`^\\| ${what} \\| \`(\\+.*)\` \\|$`, 'm').exec(page) ?? []
  return more.replaceAll('\\|', '|').split(' ')
}

/** An application whose Redis user may do what the rules say; `lines` is its log. */
async function start (
  t: Test, rules: string[], options: Partial<AuthPluginOptions> = {}, server?: RedisServer
) {
  const redis = server ?? await redisFor(t)
  const admin = redis.client()
  await admin.acl('SETUSER', 'app', 'reset', 'on', '>secret', ...rules)
  const lines: string[] = []
  const logger = { level: 'info', stream: { write: (line: string) => lines.push(line) } }
  const client = redis.client({ username: 'app', password: 'secret' })
  const built = await build(t, { redis: client, ...options, server: { logger } })
  const enter = async () =>
    await built.app.inject({ method: 'POST', url: '/login', payload: { claims: { sub: 'ada' } } })
  return { ...built, admin, lines, enter }
}

t.test('the least ACL of the page is enough for everything', async (t) => {
  t.ok(commands.length > 10)
  const server = await redisFor(t)
  const admin = server.client()
  await admin.acl('SETUSER', 'app', 'on', '>secret', ...rules)
  const redis = server.client({ username: 'app', password: 'secret' })
  const warnings: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => warnings.push(line) } }
  const options: Partial<AuthPluginOptions> = { redis, revocation: 'push', maxSessions: 2 }
  const { app, login, refresh, logout } = await build(t, { ...options, server: { logger } })
  t.strictSame(warnings, [], 'nothing is missing at the start')
  const first = await login()
  const [second] = await Promise.all([login(), refresh(first)])
  const third = await login()
  t.equal((await app.sessions.list('ada')).length, 2)
  await age(admin, day)
  const answers = await Promise.all([refresh(second), refresh(third), refresh(second)])
  t.strictSame(answers.map(({ statusCode }) => statusCode), [200, 200, 200])
  const [{ sid = '' } = {}] = await app.sessions.list('ada')
  t.equal(await app.sessions.update('ada', sid, { device: 'phone' }), true)
  t.equal((await logout(second)).statusCode, 204)
  t.equal(await app.sessions.revokeAll('ada'), 1)
  t.strictSame(await admin.acl('LOG'), [], 'and nothing was forbidden')
})

for (const command of ['+time', '+hgetall', '+hset', '+hdel', '+pexpireat']) {
  t.test(`without ${command} the log says what is missing, and nothing is written`, async (t) => {
    const least = rules.filter((rule) => rule !== command)
    const { admin, lines } = await start(t, least, { revocation: 'push' })
    const name = command.slice(1)
    await until(`the log to name ${name}`, () => new RegExp(name, 'i').test(lines.join('')), 1000)
    t.match(lines.join(''), /the Redis user may not run .*: sessions cannot be kept/)
    t.strictSame(await admin.keys('*'), [])
  })
}

t.test('without +eval the log says what cannot be done', async (t) => {
  const { lines, enter } = await start(t, rules.filter((rule) => rule !== '+eval'))
  const consequence = 'scripts that the server does not know, as after a restart, fail'
  t.match(lines.join(''), `the Redis user may not run EVAL: ${consequence}`)
  t.equal((await enter()).statusCode, 200, 'those that it knows run')
})

for (const rule of ['+publish', '+subscribe', '&jwt:*']) {
  t.test(`without ${rule} the log says why nothing is pushed`, async (t) => {
    const { lines } = await start(t, rules.filter((own) => own !== rule), { revocation: 'push' })
    const name = rule === '&jwt:*' ? 'channel' : `'${rule.slice(1)}'`
    t.match(lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 40), [
      { msg: /disconnected from pub\/sub/, reason: new RegExp(`^NOPERM .*${name}`) }
    ])
  })
}

t.test('keys of another pattern are named', async (t) => {
  const { lines } = await start(t, ['~other:*', ...rules.filter((rule) => rule !== '~jwt:*')])
  t.match(lines.join(''), 'the Redis user may not use the key jwt:{}: sessions cannot be kept')
})

t.test('a server that takes no writes is no lack of permissions', async (t) => {
  const server = await redisFor(t)
  await server.client().config('SET', 'min-replicas-to-write', 1)
  const { lines, enter } = await start(t, rules, {}, server)
  t.notMatch(lines.join(''), /may not|user_script/)
  t.equal((await enter()).statusCode, 503)
  await server.client().config('SET', 'min-replicas-to-write', 0)
  t.equal((await enter()).statusCode, 200)
})

t.test('a permission that is withdrawn later is named where it is missing', async (t) => {
  const { admin, lines, enter, login, refresh, logout } = await start(t, rules)
  const client = await login()
  const steps: Array<[command: string, step: () => ReturnType<typeof enter>]> = [
    ...['evalsha', 'time', 'hgetall', 'hset', 'pexpireat'].map((command): [string, typeof enter] =>
      [command, enter]),
    ['hget', async () => await refresh(client)],
    ['hdel', async () => await logout(client)]
  ]
  for (const [command, step] of steps) {
    await admin.acl('SETUSER', 'app', `-${command}`)
    lines.length = 0
    const { statusCode, headers, body } = await step()
    t.equal(statusCode, 503, command)
    t.equal(headers['retry-after'], '1')
    t.match(JSON.parse(body), {
      code: 'STORE_UNAVAILABLE', message: 'Sessions are unavailable for the moment, try again'
    })
    const refused = lines.map((line) => JSON.parse(line)).filter(({ reason }) => reason)
    t.match(refused, [{ code: 'STORE_UNAVAILABLE', reason: new RegExp(`\\b${command}\\b`, 'i') }])
    await admin.acl('SETUSER', 'app', `+${command}`)
  }
  t.equal((await refresh(client)).statusCode, 200, 'and once it is given back, all goes on')
})

t.test('who may not ask what is missing is told what the server says', async (t) => {
  const { admin, app, login } = await start(t, rules)
  await login()
  await admin.acl('SETUSER', 'app', '-hset', '-eval')
  const reason = /^(?!.*EVAL).*script/
  await t.rejects(app.sessions.open({ sub: 'ada' }), { code: 'STORE_UNAVAILABLE', reason })
})

t.test('many who miss one permission ask once which it is', async (t) => {
  const { admin, app, login } = await start(t, rules)
  await login()
  await admin.acl('SETUSER', 'app', '-hset')
  await admin.config('RESETSTAT')
  const opened = await Promise.allSettled(
    Array.from({ length: 20 }, async () => await app.sessions.open({ sub: 'ada' })))
  t.match(opened, opened.map(() => ({ reason: { reason: /may not run HSET/ } })))
  const stats = await admin.info('commandstats')
  t.match(stats, /cmdstat_evalsha:calls=20,/)
  t.match(stats, /cmdstat_eval:calls=1,/)
})

t.test('durability takes one more permission, which the page names', async (t) => {
  const { master, replica } = await replicatedFor(t)
  const durability = { replicas: 1, timeout: '5s' }
  const { admin, lines, login, logout } =
    await start(t, [...rules, ...also('`durability`')], { durability }, master)
  t.equal((await logout(await login())).statusCode, 204)
  t.strictSame(await replica.client().keys('*'), [])
  t.strictSame([await admin.acl('LOG'), lines.filter((line) => /may not/.test(line))], [[], []])

  // One that is withdrawn, of the waiting or of the script before it.
  for (const command of ['wait', 'eval']) {
    await admin.acl('SETUSER', 'app', `-${command}`)
    lines.length = 0
    t.equal((await logout(await login())).statusCode, 202, command)
    t.match(lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 40), [{
      msg: 'replicas could not be asked to confirm an ending',
      reason: new RegExp(`'${command}'|${command.toUpperCase()}`)
    }])
    await admin.acl('SETUSER', 'app', `+${command}`)
  }
})

t.test('durability without that permission is warned of at the start', async (t) => {
  const { lines } = await start(t, rules, { durability: { replicas: 1 } })
  t.match(lines.join(''), 'the Redis user may not run WAIT: no ending is confirmed by a replica')
  const without = await start(t, rules)
  t.notMatch(without.lines.join(''), 'WAIT')
})

t.test('a Cluster takes two more permissions on each node, which the page names', async (t) => {
  const cluster = await clusterFor(t, { replicas: true })
  const more = [...also('Redis Cluster, on each node'), ...also('`durability`')]
  t.equal(more.length, 3)
  for (const node of cluster.nodes) {
    await cluster.admin(node).acl('SETUSER', 'app', 'reset', 'on', '>secret', ...rules, ...more)
  }
  const redis = cluster.client({ redisOptions: { username: 'app', password: 'secret' } })
  const lines: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => lines.push(line) } }
  const { login, refresh, logout } = await build(t, {
    redis, revocation: 'push', durability: { replicas: 1, timeout: '5s' }, server: { logger }
  })
  const client = await login()
  t.equal((await refresh(client)).statusCode, 200)
  t.equal((await logout(client)).statusCode, 204)
  t.strictSame(lines, [])
})

t.test('another database takes one more permission, which the page names', async (t) => {
  const server = await redisFor(t)
  const admin = server.client()
  await admin.acl('SETUSER', 'app', 'on', '>secret', ...rules, ...also('a `db` other than 0'))
  const redis = server.client({ username: 'app', password: 'secret', db: 1 })
  const { login } = await build(t, { redis, revocation: 'push' })
  await login()
  t.strictSame([await admin.acl('LOG'), await admin.keys('*')], [[], []])
  await admin.select(1)
  t.equal((await admin.keys('*')).length, 1)
})
