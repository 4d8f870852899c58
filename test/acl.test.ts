import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AuthPluginOptions } from '../lib/index'
import { build, day } from './support/app'
import { age } from './support/age'
import { redisFor } from './support/servers/redis'
import { until } from './support/servers/until'

const page = readFileSync(join(__dirname, '../docs/redis.md'), 'utf8')
// The rules that the page tells an operator to type.
const [, text = ''] = /^ACL SETUSER app on >secret (.*)$/m.exec(page) ?? []
const rules = text.split(' ')
const commands = rules.filter((rule) => rule.startsWith('+'))

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
  t.test(`without ${command} the log says what is missing`, async (t) => {
    const server = await redisFor(t)
    const least = rules.filter((rule) => rule !== command)
    await server.client().acl('SETUSER', 'app', 'on', '>secret', ...least)
    const redis = server.client({ username: 'app', password: 'secret' })
    const lines: string[] = []
    const logger = { level: 'warn', stream: { write: (line: string) => lines.push(line) } }
    await build(t, { redis, revocation: 'push', server: { logger } })
    const name = command.slice(1).split('|')[0] ?? ''
    await until(`the log to name ${name}`, () => new RegExp(name, 'i').test(lines.join('')), 1000)
    t.match(lines.join(''), /the Redis user may not run .*: sessions cannot be kept/)
  })
}
