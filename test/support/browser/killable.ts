import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type BrowserContext } from 'playwright-core'
import type { Certificate } from '../dbsc/certificate'
import { executablePath, flagsFor } from '../dbsc/chromium'
import { until } from '../servers/until'

/** A browser with a profile on disk, which can be killed as a crash or a power cut does it. */
export interface Killable {
  context: BrowserContext
  /** Ends it in order: it writes what it holds to disk. */
  quit: () => Promise<void>
  /** Kills it and all its processes on the spot. */
  kill: () => Promise<void>
}

/** Starts a browser with the profile in `folder`. */
export async function launchKillable (
  certificate: Certificate, folder: string
): Promise<Killable> {
  const portFile = join(folder, 'DevToolsActivePort')
  rmSync(portFile, { force: true })
  const child = spawn(executablePath, [
    ...flagsFor(certificate), '--headless=new', '--password-store=basic',
    `--user-data-dir=${folder}`, '--remote-debugging-port=0', 'about:blank'
  ], { detached: true, stdio: 'ignore' })
  const port = await until('the browser to listen', () => {
    const [port] = readFileSync(portFile, 'utf8').split('\n')
    return port === '' ? undefined : port
  })
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`)
  const [context] = browser.contexts()
  if (context === undefined) throw new Error('the browser has no context')
  const exited = once(child, 'exit')
  return {
    context,
    quit: async () => {
      const session = await browser.newBrowserCDPSession()
      await session.send('Browser.close').catch(() => {}) // It may end before it answers.
      await exited
    },
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        process.kill(-(child.pid as number), 'SIGKILL')
        await exited
      }
    }
  }
}
