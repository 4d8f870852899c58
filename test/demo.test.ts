import type { Page } from 'playwright-core'
import t from 'tap'
import { launch } from './support/browser/chromium'
import { startDemo } from './support/browser/demo'
import { until } from './support/servers/until'

const newProfile = launch(t)
// All at once: most of their time they wait.
t.jobs = 5

const says = async (page: Page, id: string, text: string | RegExp) =>
  await page.locator(`#${id}`, { hasText: text }).waitFor()
const signIn = async (page: Page) => await page.getByRole('button', { name: 'Sign in' }).click()
const signedIn = async (page: Page) => await page.locator('#devices li').first().waitFor()
const signedOut = async (page: Page) => await says(page, 'sign-in-says', 'You are signed out.')

async function open (t: Parameters<typeof newProfile>[0], env: Record<string, string> = {}) {
  const demo = await startDemo(t, env)
  const page = await (await newProfile(t)).newPage()
  page.setDefaultTimeout(20_000)
  await page.goto(demo.url)
  return {
    ...demo,
    page,
    button: (name: string) => page.getByRole('button', { name, exact: true })
  }
}

/** Waits until the page has had so many new access tokens more. */
async function renewed (page: Page, times: number) {
  const before = Number(await page.locator('#renewals').textContent())
  await page.waitForFunction(
    `Number(document.getElementById('renewals').textContent) >= ${before + times}`,
    undefined,
    { polling: 50 }
  )
}

t.test('the demo signs in and out, here, in a second tab and on other devices', async (t) => {
  const { page, button, says: where } = await open(t)
  t.match(where, /in memory/)
  await says(page, 'where', /in memory/)

  await page.getByLabel('Password').fill('wrong')
  await signIn(page)
  await says(page, 'sign-in-says', 'Wrong name or password')
  await page.getByLabel('Password').fill('lovelace')
  await page.keyboard.press('Enter')
  await signedIn(page)
  await says(page, 'name', 'ada')
  await page.waitForFunction(
    "parseFloat(document.querySelector('.left').style.strokeDasharray) < 95",
    undefined,
    { polling: 50 }
  )
  t.match(await page.locator('#seconds').textContent(), /^\d+$/, 'the dial runs')

  const [second] = await Promise.all([
    page.waitForEvent('popup'),
    page.getByRole('link', { name: 'Open a second tab' }).click()
  ])
  await signedIn(second)

  await button('Sign in on a phone, too').click()
  await page.locator('#devices li', { hasText: 'Safari on iPhone' }).waitFor()
  await button('Log out Safari on iPhone').click()
  await page.locator('#devices li', { hasText: 'Safari on iPhone' }).waitFor({ state: 'detached' })

  await button('Log out').click()
  await Promise.all([signedOut(page), signedOut(second)])

  await signIn(page)
  await signedIn(page)
  await button('Log out Chrome on Linux').click()
  await signedOut(page)
  t.pass('this device is logged out from the list as well')

  await signIn(page)
  await button('Log out everywhere').click()
  await signedOut(page)
  await says(page, 'log', /logout · ada/)
})

t.test('the demo survives what is done to it', async (t) => {
  const { page, button } = await open(t, { ACCESS_TOKEN_LIFETIME: '3s' })
  await signIn(page)
  await signedIn(page)

  await button('Lose the next response').click()
  await says(page, 'trouble-says', 'will be lost')
  await says(page, 'log', /repeat · ada/)
  await renewed(page, 1)

  await button('Two refreshes at once').click()
  await says(page, 'trouble-says', '200 and 200')

  await button('Take the store away').click()
  await says(page, 'trouble-says', 'Gone.')
  await says(page, 'devices-say', 'you stay signed in')
  await says(page, 'log', 'store-error')
  await button('Give the store back').click()
  await says(page, 'trouble-says', 'Back again.')
  await renewed(page, 1)
  t.ok(await page.locator('#signed-in').isVisible(), 'still signed in')
})

t.test('the demo shows that a stolen token of a bound session is worth nothing', async (t) => {
  const { page, button } = await open(t, { ACCESS_TOKEN_LIFETIME: '3s' })
  await page.getByLabel('Bind this session').check()
  await signIn(page)
  await page.locator('#devices li', { hasText: 'Chrome on Linux, bound (this one)' }).waitFor()
  await button('Copy the cookie').click()
  await says(page, 'theft-says', 'Copied.')
  await button('Replay it from elsewhere').click()
  await says(page, 'theft-says', '400, DPOP_PROOF_MISSING. Worthless without the key')
  await renewed(page, 4)
  await button('Replay it from elsewhere').click()
  await says(page, 'log', /unproven/)
  await button('Two refreshes at once').click()
  await says(page, 'trouble-says', '200 and 200')
  await page.reload()
  await signedIn(page)
  await renewed(page, 1)
  t.ok(await page.locator('#signed-in').isVisible(), 'the owner is still signed in')
})

t.test('the demo shows what a stolen refresh token is worth', async (t) => {
  const { page, button } = await open(t, { ACCESS_TOKEN_LIFETIME: '3s' })
  await signIn(page)
  await signedIn(page)
  t.notOk(await button('Replay it from elsewhere').isEnabled())
  await button('Copy the cookie').click()
  await says(page, 'theft-says', 'Copied.')
  // Until the grace period of its successor is over, the copy is a repeat.
  await renewed(page, 4)
  await button('Replay it from elsewhere').click()
  await signedOut(page)
  await says(page, 'log', 'thief is answered 401, REFRESH_TOKEN_REUSED')
  await says(page, 'log', /mail to ada: A copy of your sign-in was used/)
  await says(page, 'log', /reuse · ada/)
})

t.test('the demo shows the same without a script', async (t) => {
  const { page, url, button } = await open(t, { ACCESS_TOKEN_LIFETIME: '3s' })
  const [pages] = await Promise.all([
    page.waitForEvent('popup'),
    page.getByRole('link', { name: 'The same without a script' }).click()
  ])
  await pages.getByLabel('Name').fill('ada')
  await pages.getByLabel('Password').fill('lovelace')
  await pages.getByRole('button', { name: 'Log in' }).click()
  await says(pages, 'chat', 'Connected as ada')
  const shown = await pages.locator('img').evaluateAll(
    (images) => images.map((image) => (image as unknown as { naturalWidth: number }).naturalWidth))
  t.ok(shown.length === 6 && shown.every((width) => width > 0), 'images load behind the guard')
  t.match(await pages.locator('body').textContent(), /access token is gone after 3s/)
  const cookies = async () => (await pages.context().cookies(`${url}/pages`))
    .filter(({ path }) => path === '/pages')
  t.strictSame((await cookies()).map(({ name, httpOnly }) => [name, httpOnly]), [
    ['__Secure-access_token', true], ['__Secure-refresh_token', true]
  ])
  t.equal(await pages.evaluate('document.cookie'), '')

  const valueOf = async () =>
    (await cookies()).find(({ name }) => name === '__Secure-access_token')?.value
  const before = await valueOf()
  await until('the access cookie to run out, or to be renewed', async () =>
    await valueOf() !== before)
  await pages.getByLabel('Note').fill('bread')
  await pages.getByRole('button', { name: 'Add' }).click()
  await pages.locator('#notes li', { hasText: 'bread' }).waitFor()
  t.notOk([undefined, before].includes(await valueOf()), 'renewed')

  // Both keep their sessions in one store: the list of either shows them.
  await page.bringToFront()
  await signIn(page)
  await page.locator('#devices li', { hasText: '(this one)' }).waitFor()
  await button('Log out Chrome on Linux').first().waitFor()
  t.equal(await page.locator('#devices li').count(), 2)
  const [list] = await Promise.all([
    pages.waitForEvent('popup'),
    pages.getByRole('link', { name: 'Devices, in a second tab' }).click()
  ])
  await list.getByRole('button', { name: 'This one: log out' }).click()
  await list.getByRole('button', { name: 'Log in' }).waitFor()
  await pages.locator('#chat:empty').waitFor({ state: 'attached' })
  await pages.getByRole('link', { name: 'Download' }).click()
  await pages.getByRole('button', { name: 'Log in' }).waitFor()
  await until('one session', async () => {
    await page.reload()
    await signedIn(page)
    return await page.locator('#devices li').count() === 1
  })
})
