import { readNews, readOwner } from './news.mjs'
import { singleFlight } from './single-flight.mjs'
import type { Client, ClientOptions, News, Tokens } from './types.mjs'

export type { Client, ClientOptions, TokenStorage } from './types.mjs'

const now = () => performance.now() // The other clock is the user's to set.

/** Creates a client that logs in and out, adds the access token to requests and renews it in time. */
export function createClient (options: ClientOptions = {}): Client {
  const { prefix = '/auth', storage, onSessionEnd, onToken, timeout = 10, fetch: send = fetch } = options
  const page = (globalThis as { location?: { href: string } }).location?.href
  const api = new URL(prefix, page)
  const name = page && !storage ? api.href : '' // All tabs share a cookie, and so a session; a storage has one owner.
  const channel = name && globalThis.BroadcastChannel ? new BroadcastChannel(name) : undefined
  const alone = singleFlight(name, timeout * 1000)

  let token: string | undefined
  let owner: { sid?: string, sub?: string } = {}
  let issued = 0
  let lifetime = 0 // 0: it is not known yet whether there is a session; Infinity: there is none, so nothing runs out.
  let ended: string | undefined // The sid that ended last: what is still in flight for it comes to nothing.
  let epoch = 0 // Counts the news: what was begun before the last is out of date.
  let failure: News
  let quietUntil = 0
  let flight: Promise<void> | undefined

  function learn (news: News, since = now()): void {
    const { tokens, wait, sid } = news
    if (tokens) {
      const next = readOwner(tokens.access_token)
      if (next.sid === ended) return
      // The cookie is another user's by now, and what this page's user began must not go on in that name.
      if (token && next.sub !== owner.sub) return learn({})
      token = tokens.access_token
      owner = next
      issued = since
      lifetime = tokens.expires_in * 1000
      quietUntil = 0
      onToken?.(tokens.expires_in)
    } else if (wait) {
      failure = news
      quietUntil = now() + wait * 1000
    } else {
      if (token && sid && sid !== owner.sid) return
      if (token && onSessionEnd) queueMicrotask(onSessionEnd)
      ended = sid ?? owner.sid
      owner = {}
      token = undefined
      lifetime = Infinity
    }
    epoch++
  }

  async function tell (news: News, since?: number) {
    if (news.tokens) await storage?.set(news.tokens.refresh_token)
    else if (!news.wait) await storage?.clear()
    channel?.postMessage(news)
    learn(news, since)
  }

  if (channel) channel.onmessage = (event) => learn((event as { data: News }).data)

  const toRequest = (input: string | URL | Request, init?: RequestInit) =>
    new Request(page || input instanceof Request ? input : new URL(input, api), init)

  const toPost = (url: string | URL, body: unknown, init?: RequestInit) => toRequest(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    credentials: storage ? undefined : 'include',
    keepalive: true, // The answer reaches the cookie even if the page is being left.
    signal: AbortSignal.timeout?.(timeout * 1000), // not in React Native
    ...init
  })

  function carry (request: Request) {
    if (token) request.headers.set('authorization', `Bearer ${token}`)
    return send(request)
  }

  const call = async (verb: string, body?: object) =>
    carry(toPost(api.href.replace(/\/?$/, '/' + verb), { refresh_token: await storage?.get() ?? undefined, ...body }))

  async function renew () {
    const begun = epoch
    await (flight ??= alone(async (waited) => {
      if (waited && epoch === begun) {
        await new Promise((resolve) => {
          channel?.addEventListener('message', resolve, { once: true })
          setTimeout(resolve, 300) // That tab may have been closed.
        })
      }
      if (epoch !== begun || now() < quietUntil) return
      const since = now()
      const news = await call('refresh').then((response) => readNews(response, owner.sid)).catch(() => ({ wait: 1 }))
      if (epoch === begun) await tell(news, since) // A logout, for one, may have come first.
    }).finally(() => { flight = undefined }))
    if (now() < quietUntil) throw new Error('refresh failed', { cause: failure })
  }

  /** Sees to it that the token, if there is a session, is good for a request. */
  async function ready () {
    const spent = (now() - issued) / lifetime
    if (spent > 0.95) await renew()
    else if (spent > 0.75) renew().catch(() => {}) // The token still serves: nobody waits.
  }

  return {
    login: (url, body, init) => alone(async () => {
      const since = now()
      const response = await send(toPost(url, body, init))
      const tokens = await response.clone().json().catch(() => {}) as Tokens | undefined
      if (tokens?.access_token) {
        token = undefined
        await tell({ tokens }, since)
      }
      return response
    }),

    async fetch (input, init) {
      const request = toRequest(input, init)
      const { signal } = request
      if (!request.url.startsWith(`${api.origin}/`) || request.headers.has('authorization') || signal.aborted) return send(request)
      const aborted = new Promise((_resolve, reject) => { signal.onabort = () => reject(signal.reason) })

      await Promise.race([ready(), aborted])
      const sent = token
      const user = owner.sub
      const response = await carry(request.clone())
      if (!sent || response.status !== 401) return response
      if (token === sent) await Promise.race([renew(), aborted])
      if (!token || owner.sub !== user) return response
      response.body?.cancel()
      return carry(request)
    },

    async logout (options) {
      const response = await call('logout', options)
      if (response.ok) await tell({ sid: owner.sid })
      return response
    },

    async restore () {
      if (!token) await renew()
      return !!token
    },

    async accessToken () {
      await ready()
      return token
    }
  }
}
