import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

const example = join(__dirname, '../examples/nestjs')
const out = join(__dirname, '../.tap/nestjs')

/** Starts the example as its users would: compiled, in a process of its own. */
async function start (t: { teardown: (done: () => unknown) => unknown }): Promise<string> {
  mkdirSync(out, { recursive: true })
  for (const file of readdirSync(example).filter((file) => file.endsWith('.mts'))) {
    const compilerOptions = {
      module: ModuleKind.ESNext,
      target: ScriptTarget.ES2022,
      experimentalDecorators: true,
      emitDecoratorMetadata: true
    }
    const { outputText } = transpileModule(readFileSync(join(example, file), 'utf8'), {
      fileName: file,
      compilerOptions
    })
    writeFileSync(join(out, file.replace('.mts', '.mjs')), outputText)
  }
  const { NODE_OPTIONS, ...env } = process.env
  const server = spawn(process.execPath, [join(out, 'server.mjs')], {
    env: { ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => server.kill())
  const [line] = await once(server.stdout, 'data') as [Buffer]
  return line.toString().trim()
}

t.test('a NestJS application logs in, guards, lists and ends sessions', async (t) => {
  const url = await start(t)
  const login = async (password = 'lovelace') =>
    await fetch(`${url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'ada', password })
    })
  t.equal((await login('no')).status, 403)
  const response = await login()
  const [cookie = ''] = response.headers
    .getSetCookie()
    .map((text) => text.slice(0, text.indexOf(';')))
  const { access_token: token } = await response.json() as { access_token: string }
  const headers = { authorization: `Bearer ${token}` }
  await login()

  const refused = await fetch(`${url}/devices`)
  t.equal(refused.headers.get('www-authenticate'), 'Bearer')
  t.match(await refused.json(), { statusCode: 401, code: 'ACCESS_TOKEN_MISSING' })
  const devices = (await (await fetch(`${url}/devices`, { headers })).json()) as Array<{
    sid: string
    current: boolean
  }>
  t.strictSame(devices.map(({ current }) => current), [true, false])
  const end = async () =>
    (await fetch(`${url}/devices/${devices[1]?.sid}`, { method: 'DELETE', headers })).status
  t.equal(await end(), 204)
  t.equal(await end(), 404)
  t.equal((await fetch(`${url}/nowhere`)).status, 404)

  const post = async (path: string) =>
    await fetch(`${url}/auth/${path}`, { method: 'POST', headers: { cookie } })
  t.equal((await post('refresh')).status, 200)
  t.equal((await post('logout')).status, 204)
  t.match(await (await post('refresh')).json(), { code: 'REFRESH_TOKEN_INVALID' })
})
