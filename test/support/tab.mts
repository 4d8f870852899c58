import type { InjectOptions } from 'fastify'
import { createClient, type ClientOptions } from '../../lib/client/client.mjs'
import helpers from './app.js'

type Send = (request: Request) => Promise<Response>
type Teardown = Parameters<typeof helpers.build>[0]

const counting = performance.now.bind(performance)
const onTheWall = Date.now
const random = Math.random
let counted = 0
let set = 0
performance.now = () => counting() + counted

/** Lets time pass for clients, by the clock that counts. */
export const pass = (ms: number) => { counted += ms }

/** Sets the clock on the wall, as users do, and as machines that were asleep. */
export function setClock (t: Teardown, ms: number) {
  set += ms
  Date.now = () => onTheWall() + set
  t.teardown(async () => {
    set = 0
    Date.now = onTheWall
  })
}

/** Has clients draw this number, from 0 to 1. */
export function draw (t: Teardown, number: number) {
  Math.random = () => number
  t.teardown(async () => { Math.random = random })
}

// In a page, a relative URL has a base.
const { Request: NodeRequest } = globalThis
globalThis.Request = class extends NodeRequest {
  constructor (input: string | URL | Request, init?: RequestInit) {
    const { location } = globalThis as { location?: { href: string } }
    super(typeof input === 'string' ? new URL(input, location?.href) : input, init)
  }
}

// Node has Web Locks from version 24.5 on: where a test wants them, it says so.
const { navigator } = globalThis as { navigator?: object }
if (navigator) Object.defineProperty(navigator, 'locks', { configurable: true, value: undefined })

let profiles = 0

/** A browser with an application: what its network does, what was asked, and its tabs. */
export async function start (t: Teardown, options: Parameters<typeof helpers.build>[1] = {}) {
  const { app, clock } = await helpers.build(t, options)
  const origin = `http://profile-${++profiles}.test` // a channel of its own
  const seen: { path: string, authorization: string | null, status: number, body: string }[] = []
  const jar = new Map<string, string>()

  async function send (request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url)
    const body = await request.text()
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await app.inject({
      method: request.method as InjectOptions['method'],
      url: pathname + search,
      headers: {
        ...Object.fromEntries(request.headers),
        ...(pathname.startsWith('/auth') ? { cookie } : {})
      },
      payload: body
    })
    const { statusCode: status, headers } = response
    const { 'set-cookie': _, ...others } = headers
    for (const { name, value } of response.cookies) jar.set(name, value)
    const authorization = request.headers.get('authorization')
    seen.push({ path: pathname + search, authorization, status, body })
    return new Response(status === 204 ? null : response.body, {
      status, headers: others as Record<string, string>
    })
  }

  const network = { send: send as Send }
  /** Is `fetch` over that network: what is aborted rejects at once. */
  async function fetch (input: unknown) {
    const request = input as Request
    const { signal } = request
    signal.throwIfAborted()
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
    return await Promise.race([network.send(request), aborted])
  }

  // A browser is there until it is closed; nothing else here keeps the process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(async () => {
    clearInterval(alive)
    Reflect.deleteProperty(globalThis, 'location')
  })
  return {
    app,
    clock,
    origin,
    /** Lets time pass for the server and the clients. */
    wait (ms: number) {
      clock.pass(ms)
      pass(ms)
    },
    seen,
    /** Paths and statuses since the last call. */
    calls: () => seen.splice(0).map(({ path, status }) => `${path} ${status}`),
    /** What the network does, until the test makes it do something else. */
    network,
    send,
    fetch,
    /** Opens a tab. */
    open (options: ClientOptions = {}) {
      Object.assign(globalThis, { location: { href: `${origin}/page` } })
      return createClient({ fetch, ...options })
    }
  }
}

/** A promise to wait for, and its resolution. */
export function signal () {
  let done = () => {}
  const reached = new Promise<void>((resolve) => { done = resolve })
  return { reached, done }
}

/** Resolves when the condition holds; messages between tabs take their time. */
export async function until (condition: () => unknown) {
  while (!await condition()) await new Promise((resolve) => { setImmediate(resolve) })
}
