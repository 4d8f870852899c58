import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

/**
 * Starts the example as its users do, on a free port; resolves with its address and what it says
 * about its store.
 */
export async function startDemo (t: Teardown, env: Record<string, string>) {
  const child = spawn(process.execPath, ['examples/basic/server.mjs'], {
    env: { PATH: process.env.PATH, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const lines = createInterface(child.stdout)
  let url = ''
  for await (const line of lines) {
    if (line.startsWith('http')) url = line
    else if (line.startsWith('Sessions')) return { url, says: line }
  }
  throw new Error('the example ended before it listened')
}
