import { now } from './clock.mjs'
import { readNews, readOwner, type Owner } from './news.mjs'
import type { Client, ClientOptions, News, Page, SessionEnd } from './types.mjs'

export type { Client, ClientOptions, SessionEnd, TokenStorage } from './types.mjs'

declare const globalThis: Page

/**
 * Creates a client that logs in and out, adds the access token to requests and renews it in time.
 * @throws Error where there is no page and `prefix` is no whole URL
 */
export function createClient (options: ClientOptions = {}): Client {
  let {
    prefix = '/auth', storage, onSessionEnd, onToken, timeout = 10, fetch: send = fetch
  } = options
  const page = globalThis.location?.href
  if (!/^http| http/.test(`${prefix} ${page}`)) throw new Error('prefix is no whole URL')
  const api = new URL(prefix, page).href.replace(/\/?$/, '/')
  // What begins so gets the access token, and nothing else does.
  const base = api.split('/', 3).join('/') + '/'
  const name = page && !storage && api // All tabs share a cookie, and so a session.
  const limit = () => AbortSignal.timeout?.(timeout * 1000) // Not in React Native.
  let channel: InstanceType<typeof BroadcastChannel> | undefined
  let heard: (() => void) | undefined
  let flight: Promise<unknown> | undefined

  let unsaved: string | undefined // What the storage has yet to take: it may refuse.
  let token: string | undefined
  let owner: Owner = { sid: '-' }
  let moment = 0 // When it is renewed: nobody can foresee that.
  let end = 0 // 0: it is not known whether there is a session. Infinity: there is none.
  let ended: string | undefined // The sid that ended last: what is in flight for it is dropped.
  let epoch = 0 // Counts the news: what was begun before the last is out of date.
  let failure: News | undefined
  let quietUntil = 0

  if (name && globalThis.BroadcastChannel) {
    channel = new BroadcastChannel(name)
    channel.onmessage = (event) => learn((event as { data: News }).data)
    ;(channel as { unref?: () => void }).unref?.() // In Node it would keep the process alive.
  }

  /** Learns news, be it that of another tab: late, if this one was frozen. */
  const learn = (news: News): void => {
    const { tokens, at, wait, sid, reason } = news
    if (wait) {
      failure = news
      quietUntil = now() + wait * 1000
    } else if (tokens) {
      const next = readOwner(tokens.access_token)
      if (ended && next.sid === ended) return
      // The cookie is another user's: what this page's user began must not go on in that name.
      if (token && next.sub !== owner.sub) return learn({ reason: 'replaced' })
      token = tokens.access_token
      owner = next
      const life = tokens.expires_in * 1000
      end = Math.min(at as number, now()) + life
      moment = end - (0.1 + 0.3 * Math.random()) * life
      failure = undefined
      Promise.resolve(tokens.expires_in).then(onToken)
    } else {
      if (token && sid && sid !== owner.sid) return
      if (token) Promise.resolve(reason as SessionEnd).then(onSessionEnd)
      ended = sid
      owner = { sid: '-' }
      token = failure = undefined
      end = moment = Infinity
    }
    epoch++
    heard?.()
  }

  const tell = async (news: News, at?: number) => {
    news.at = at
    channel?.postMessage(news)
    learn(news)
    if (news.wait) return
    unsaved = news.tokens?.refresh_token
    await (unsaved ? storage?.set(unsaved) : storage?.clear())
    unsaved = undefined
  }

  /**
   * Runs work while no other tab of the origin does the like: under a Web Lock, where there are
   * such locks. `waited` tells the work that another tab has just finished. Nobody waits for an
   * orphaned lock longer than `timeout`: without the lock, the server's grace period sees to it
   * that two refreshes at once do no harm.
   */
  const alone = async <T extends unknown>(work: (waited?: boolean) => Promise<T>): Promise<T> => {
    let result: Promise<T> | undefined
    const ask = (options: object, waited?: boolean) => name &&
      globalThis.navigator?.locks?.request(name, options, (lock) => lock && (result = work(waited)))
    try {
      await ask({ ifAvailable: true })
      result ?? await ask({ signal: limit() }, true)
    } catch {} // Too long a wait, a frame that may not lock, or what is wrong with the result.
    return result ?? work()
  }

  /** Makes a request; a relative URL is one of the origin of `prefix`. */
  const toRequest = (input: string | URL | Request, init?: RequestInit) =>
    // A page of that origin resolves what has no slash in front. React Native's URL cannot.
    new Request((input as Request).url
      ? input
      : `${input}`.replace(/^(?!\w+:|\/\/)\/?/, (slash) =>
        slash || !page?.startsWith(base) ? base : ''), init)

  const toPost = (url: string | URL, body: unknown = {}, init?: RequestInit) => toRequest(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    credentials: storage ? undefined : 'include',
    redirect: 'manual', // Passwords and refresh tokens go where they were meant to.
    signal: limit(),
    ...init
  })

  const carry = (request: Request) => {
    if (token) request.headers.set('authorization', 'Bearer ' + token)
    return send(request)
  }

  /** Calls a route of the plugin. */
  const call = async (verb: string, options?: object): Promise<Response> => {
    const body = { refresh_token: unsaved ?? await storage?.get() ?? undefined, ...options }
    // Kept alive, the answer reaches the cookie even if the page is being left. A browser refuses
    // that while other requests keep 64 KiB alive. What arrived may come twice.
    const signal = limit() // For both attempts.
    const post = (keepalive: boolean) => carry(toPost(api + verb, body, { keepalive, signal }))
    const response = await post(true).catch(() => post(false))
    // A browser that has to prove its key is sent to the same route, once.
    return response.type === 'opaqueredirect' && !storage && verb === 'refresh'
      ? call('refresh?proof')
      : response
  }

  /** Renews the token, unless another tab does; resolves with it, if there is a session. */
  const renew = async (force?: boolean) => {
    const begun = epoch
    if (!timeout) return send('') as never // Which rejects: the client is closed.
    if (!failure || now() > quietUntil) {
      await (flight ??= alone(async (waited) => {
        if (waited && epoch === begun) {
          await new Promise<void>((resolve) => {
            heard = resolve
            setTimeout(resolve, 300) // That tab may have been closed.
          })
        }
        if (epoch !== begun && !force) return
        const sent = epoch
        const at = now()
        const news = await call('refresh')
          .then((response) => readNews(response, storage, owner.sid))
          .catch((): News => ({ wait: 1 }))
        if (epoch === sent) await tell(news, at) // A logout, for one, may have come first.
      }).finally(() => { flight = undefined }))
    }
    if (failure || now() > end) { // An answer may come too late.
      throw new Error(failure?.message || 'refresh failed', { cause: failure })
    }
    return token
  }

  /** Resolves with a token that is good for a request, if there is a session. */
  const ready = async () => {
    if (!timeout || now() > end) return renew()
    if (now() > moment) renew().catch(() => {}) // It still serves: nobody waits.
    return token
  }

  return {
    login: (url, body, init) => alone(async () => {
      const at = now()
      const response = await send(toPost(url, body, init))
      const news = await readNews(response, storage)
      if (news.message) throw new Error(news.message)
      if (news.tokens) {
        token = undefined
        await tell(news, at)
      }
      return response
    }),

    fetch: async (input, init) => {
      const request = toRequest(input, init)
      const { signal } = request
      if (!request.url.startsWith(base) || request.headers.has('authorization') ||
        signal?.aborted) return send(request)
      // Nobody waits for what was aborted: sending it rejects at once.
      const aborted = new Promise((resolve) => { signal?.addEventListener('abort', resolve) })

      await Promise.race([ready(), aborted])
      const sent = token
      const user = owner.sub
      const response = await carry(request.clone())
      // Another token of the same login would not be sufficient either.
      if (!sent || response.status !== 401 ||
        /insufficient/.test(response.headers.get('www-authenticate') as string)) return response
      if (token === sent) await Promise.race([renew(), aborted])
      if (!token || owner.sub !== user) return response
      return carry(request)
    },

    logout: async (options) => {
      const response = await call('logout', options)
      if (response.ok) await tell({ sid: owner.sid, reason: 'logout' })
      return response
    },

    restore: async () => !!await (token ? ready() : renew()),

    refresh: async () => {
      await flight?.catch(() => {}) // What it asked for may be older than what the caller wants.
      return !!await renew(true)
    },

    accessToken: ready,

    close: () => {
      channel?.close()
      channel = undefined
      timeout = 0 // What is in flight may still bring a token.
      send = async () => { throw new Error('closed') }
    }
  }
}
