import type { BrowserContext, CDPSession, Page } from 'playwright-core'
import { until } from '../servers/until'

/** What DevTools say of a bound session: which of the members there is tells what happened. */
interface BoundSessionEvent {
  succeeded: boolean
  creationEventDetails?: object
  refreshEventDetails?: { refreshResult: string }
  terminationEventDetails?: { deletionReason: string }
}

/** A tab whose DevTools report what the browser does with bound sessions. */
export class Tab {
  readonly page: Page
  readonly #events: BoundSessionEvent[] = []

  private constructor (page: Page) {
    this.page = page
  }

  static async open (context: BrowserContext, url: string): Promise<Tab> {
    const page = await context.newPage()
    const tab = new Tab(page)
    // Playwright has no types for them yet.
    const devTools = await context.newCDPSession(page) as unknown as Untyped
    devTools.on('Network.deviceBoundSessionEventOccurred', (event) => { tab.#events.push(event) })
    await devTools.send('Network.enable')
    await devTools.send('Network.enableDeviceBoundSessions', { enable: true })
    await page.goto(url)
    return tab
  }

  /** How many sessions the browser has bound since the tab was opened. */
  get bound (): number {
    const isBinding = ({ succeeded, creationEventDetails }: BoundSessionEvent) =>
      succeeded && creationEventDetails !== undefined
    return this.#events.filter(isBinding).length
  }

  /** Why the browser has ended bound sessions since the tab was opened. */
  get endings (): string[] {
    return this.#events.flatMap(({ terminationEventDetails: ended }) => ended?.deletionReason ?? [])
  }

  /** Logs in by a script, and waits until the browser has bound the session. */
  async login (sub: string, url = '/login'): Promise<void> {
    const { bound } = this
    const init = {
      method: 'POST',
      credentials: 'include',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sub })
    }
    await this.page.evaluate(`fetch(${JSON.stringify(url)}, ${JSON.stringify(init)})`)
    await until('the session to be bound', () => this.bound > bound)
  }

  /** Refreshes by a script; resolves with the status. */
  async refresh (url = '/auth/refresh'): Promise<number> {
    const init = { method: 'POST', credentials: 'include' }
    return await this.page.evaluate<number>(
      `fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(({ status }) => status)`
    )
  }
}

type Untyped = Pick<CDPSession, 'detach'> & {
  on: (name: string, listener: (event: BoundSessionEvent) => void) => void
  send: (name: string, parameters?: object) => Promise<unknown>
}
