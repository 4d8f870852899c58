import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { peek, secret } from './support/app'
import { redisFor } from './support/servers/redis'

/** A node in a process of its own whose clock is `skew` ms off; answers a way to call it. */
async function node (
  t: { teardown: (done: () => unknown) => unknown },
  path: string,
  skew: number,
  options: object = {}
) {
  const shift = `const real = Date.now; Date.now = () => real() + ${skew}`
  const child = fork(
    join(__dirname, 'support/node.ts'),
    [path, JSON.stringify({ secret, ...options })],
    {
      execArgv: [...process.execArgv, `--import=data:text/javascript,${encodeURIComponent(shift)}`]
    }
  )
  t.teardown(() => {
    child.kill('SIGKILL')
  })
  const [origin] = (await once(child, 'message')) as [string]
  return async (method: string, path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${origin}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(30_000)
    })
    const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const text = await response.text()
    return {
      status: response.status,
      body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
      cookie
    }
  }
}

t.test('two processes whose clocks differ by minutes disagree about nothing', async (t) => {
  const { path } = await redisFor(t)
  const options = {
    accessToken: { lifetime: 60 },
    refreshToken: { idleLifetime: 120, absoluteLifetime: 120 }
  }
  const [early, late] = await Promise.all([
    node(t, path, -10 * 60_000, options),
    node(t, path, 10 * 60_000, options)
  ])
  for (const [one, other] of [[early, late], [late, early]] as const) {
    const login = await one('POST', '/login')
    t.equal(login.status, 200)
    const authorization = `Bearer ${String(login.body.access_token)}`
    t.equal((await one('GET', '/me', { authorization })).status, 200)
    t.equal(
      (await other('GET', '/me', { authorization })).status,
      200,
      'an access token is good on both'
    )
    const rotated = await other('POST', '/auth/refresh', { cookie: login.cookie })
    t.equal(rotated.status, 200)
    const repeated = await one('POST', '/auth/refresh', { cookie: login.cookie })
    t.equal(repeated.status, 200, 'the grace period is the same on both')
    t.equal(repeated.cookie, rotated.cookie)
    const next = await one('POST', '/auth/refresh', { cookie: rotated.cookie })
    t.equal(next.status, 200)
    const older = await other('POST', '/auth/refresh', { cookie: login.cookie })
    t.equal(older.status, 200, 'each generation has a grace period of its own')
    t.equal(older.cookie, next.cookie)
  }
})

t.test('200 refreshes at once over two processes come to one rotation', async (t) => {
  const { path } = await redisFor(t)
  const options = { storeTimeout: 10 }
  const nodes = await Promise.all([node(t, path, 0, options), node(t, path, 0, options)])
  const { cookie } = await nodes[0]('POST', '/login')
  const answers = await Promise.all(
    Array.from(
      { length: 200 },
      async (_, i) => await (nodes[i % 2] as (typeof nodes)[0])('POST', '/auth/refresh', { cookie })
    )
  )
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
  const cookies = new Set(answers.map(({ cookie }) => cookie))
  t.equal(cookies.size, 1)
  t.equal(peek([...cookies][0]?.split('=')[1] ?? '').gen, 2)
})
