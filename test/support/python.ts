import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { find } from './requirements.cjs'

/** What a call of a library has returned, or has raised. */
export interface Answer {
  result?: unknown
  raised?: string
  error?: string | null
}

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

/** Starts Python with its OAuth libraries; returns what asks it, one question after the other. */
export function startPython (t: Teardown): (ask: object) => Promise<Answer> {
  const program = String(find('python3'))
  const script = join(__dirname, '../package/oauth.py')
  const child = spawn(program, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  t.teardown(async () => {
    child.stdin.end()
    await exit
  })
  return async (ask) => {
    child.stdin.write(`${JSON.stringify(ask)}\n`)
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`${program} ended`)
    return JSON.parse(value) as Answer
  }
}
