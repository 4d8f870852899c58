import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { complaint, find, type Program } from '../requirements.cjs'

// A process that makes a file longer than it may is killed, unless it ignores that: then its writes
// fail, as they do on a full disk.
const mayFillDisk = 'trap "" XFSZ; exec "$0" "$@"'

const running = new Set<ChildProcess>()
const folders = new Set<string>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A running server process; it dies with the process that launched it, however that one ends. */
export interface Launched {
  readonly pid: number
  readonly alive: boolean
  /** Sends a signal; one that ends the process resolves once it is gone. */
  signal (name: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
  /** What it wrote to its log. */
  log (): string
}

/** Makes a temporary folder that is removed when this process ends. */
export function temporaryFolder (): string {
  const folder = mkdtempSync(join(tmpdir(), 'sessions-'))
  folders.add(folder)
  return folder
}

/**
 * Starts the server under test with these arguments: `redis-server`, or what `REDIS_SERVER` names
 * (a valkey-server speaks the same protocol), unless another program is named. `folder` is where it
 * may write. @throws a sentence that says what to install
 */
export function launch (
  folder: string, args: string[], program: Program = 'redis-server'
): Launched {
  const server = find(program)
  if (server === undefined) throw new Error(complaint(program))
  const options = { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] }
  // The exit listener above does not run if this process is killed: then the kernel sees to it.
  const child = process.platform === 'linux'
    ? spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', mayFillDisk, server, ...args], options)
    : spawn(server, args, options)
  let log = ''
  let failure: Error | undefined
  running.add(child)
  child.stdout.on('data', (data: Buffer) => { log += data.toString() })
  child.stderr.on('data', (data: Buffer) => { log += data.toString() })
  child.unref()
  for (const stream of [child.stdout, child.stderr]) {
    (stream as unknown as { unref (): void }).unref()
  }
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => { failure = error; running.delete(child); resolve() })
    child.once('exit', () => { running.delete(child); resolve() })
  })
  return {
    pid: child.pid ?? 0,
    get alive () { return running.has(child) },
    log: () => failure ? failure.message : log,
    async signal (name) {
      if (!running.has(child)) return
      child.kill(name)
      if (name !== 'SIGTERM' && name !== 'SIGKILL') return
      // A stopped process does not hear SIGTERM; and an unreferenced child alone would let Node
      // exit while we wait for it.
      child.kill('SIGCONT')
      child.ref()
      await gone
    }
  }
}
