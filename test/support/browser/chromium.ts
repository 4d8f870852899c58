import { chromium, type BrowserContext, type Page } from 'playwright-core'
import { complaint, find } from '../requirements.cjs'

type Teardown = { teardown: (done: () => Promise<unknown>) => unknown }

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'
]

/**
 * Launches the browser that the system has, or the one that `CHROMIUM` names; returns a function
 * that creates profiles.
 * @throws a sentence that says what to install
 */
export function launch (t: Teardown) {
  const executablePath = find('chromium')
  if (executablePath === undefined) throw new Error(complaint('chromium'))
  const launched = chromium.launch({ executablePath, args: flags })
  t.teardown(async () => await (await launched).close())
  return async (t: Teardown): Promise<BrowserContext> => {
    const context = await (await launched).newContext()
    t.teardown(async () => await context.close())
    return context
  }
}

/**
 * Opens a tab on a page of `site.ts`, which puts `auth`, `ask(url)`, `ended` and `passed` into the
 * window.
 */
export async function openTab (context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(url)
  await until(page, 'window.ask')
  return page
}

/** Opens so many tabs. */
export async function openTabs (context: BrowserContext, url: string, count: number) {
  return await Promise.all(Array.from({ length: count }, async () => await openTab(context, url)))
}

type Five = [Page, Page, Page, Page, Page]

/** Opens five tabs; the first logs in, the others find the session. */
export async function openFive (context: BrowserContext, url: string): Promise<Five> {
  const tabs = await openTabs(context, url, 5) as Five
  await tabs[0].evaluate("auth.login('/login', { sub: 'ada' })")
  await inAll(tabs, 'auth.restore()')
  return tabs
}

/** Evaluates in all tabs at once. */
export async function inAll<T> (tabs: Page[], expression: string): Promise<T[]> {
  return await Promise.all(tabs.map(async (tab) => await tab.evaluate<T>(expression)))
}

/** Resolves when the condition is true in a tab, be it in the background. */
export async function until (tab: Page, condition: string): Promise<void> {
  await tab.waitForFunction(condition, undefined, { polling: 20 })
}
