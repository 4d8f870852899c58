import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build as bundle } from 'esbuild'
import t from 'tap'
import { createClient } from '../lib/client/client.mjs'
import helpers from './support/app.js'

const run = promisify(execFile)
const folder = resolve('.tap/client-runtimes')

/** Bundles the client for a process of its own; returns where it is. */
async function build () {
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, 'client.mjs')
  await bundle({ entryPoints: ['lib/client/client.mts'], bundle: true, format: 'esm', outfile })
  return outfile
}

t.test('without a page a whole prefix is asked for in a sentence', async (t) => {
  const sentence = { message: 'prefix is no whole URL' }
  t.throws(() => createClient(), sentence)
  t.throws(() => createClient({ prefix: 'auth' }), sentence)
  createClient({ prefix: 'https://api.example.com/auth' }).close()

  t.teardown(async () => { Reflect.deleteProperty(globalThis, 'location') })
  for (const href of ['about:blank', 'file:///app/index.html', 'capacitor://localhost/']) {
    Object.assign(globalThis, { location: { href } })
    t.throws(() => createClient(), sentence, href)
    createClient({ prefix: 'https://api.example.com/auth' }).close()
  }
})

t.test('it keeps no process alive, with a DOM neither', async (t) => {
  const client = await build()
  const script = `
    globalThis.location = { href: 'http://localhost/page' }
    const { createClient } = await import(${JSON.stringify(client)})
    const fetch = async () => Response.json({ access_token: 'e30.e30.x', expires_in: 1800 })
    const open = createClient({ fetch })
    await open.login('/login')
    await open.fetch('/me')
    createClient({ fetch }).restore()
    console.log('done')`
  const args = ['--input-type=module', '--eval', script]
  const { stdout } = await run(process.execPath, args, { timeout: 30_000 })
  t.equal(stdout, 'done\n')
})

t.test('it works with what React Native has for URL and fetch', async (t) => {
  const client = await build()
  for (const version of ['old', 'new']) {
    const calls: string[] = []
    let tries = 0
    const { app } = await helpers.build(t, {
      refreshToken: { transports: ['body'] },
      extend: (app) => {
        app.addHook('onRequest', async ({ url }) => { calls.push(url) })
        app.get('/again', async (_request, reply) => reply.code(tries++ === 0 ? 401 : 200).send({}))
      }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const args = ['test/support/react-native.mjs', client, app.listeningOrigin, version]
    const { stdout } = await run(process.execPath, args, { timeout: 30_000 })
    t.strictSame(JSON.parse(stdout), {
      sentence: 'prefix is no whole URL',
      restored: false,
      login: 200,
      whole: 200,
      relative: 200,
      refreshed: true,
      again: 200,
      aborted: 'AbortError',
      logout: 204,
      kept: null,
      ended: ['logout']
    }, version)
    t.strictSame(calls, [
      '/auth/refresh', '/login', '/me', '/me', '/auth/refresh',
      '/again', '/auth/refresh', '/again', '/auth/logout'
    ])
  }
})
