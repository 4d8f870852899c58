import type { InjectOptions } from 'fastify'
import { createClient, type ClientOptions } from '../../lib/client/client.mjs'
import helpers from './app.js'

type Send = (request: Request) => Promise<Response>
type Teardown = Parameters<typeof helpers.build>[0]

const real = performance.now.bind(performance)
let passed = 0
performance.now = () => real() + passed

/** Lets time pass for clients. */
export const pass = (ms: number) => { passed += ms }

// In Node, a channel keeps the process alive, as no tab does.
const { BroadcastChannel: Channel } = globalThis
globalThis.BroadcastChannel = class extends Channel {
  constructor (name: string) {
    super(name)
    this.unref()
  }
} as typeof Channel

// In a page, a relative URL has a base.
const { Request: NodeRequest } = globalThis
globalThis.Request = class extends NodeRequest {
  constructor (input: string | URL | Request, init?: RequestInit) {
    const { location } = globalThis as { location?: { href: string } }
    super(typeof input === 'string' ? new URL(input, location?.href) : input, init)
  }
}

let profiles = 0

/** A browser with an application: what its network is made to do, what was asked, and its tabs. */
export async function start (t: Teardown, options: Parameters<typeof helpers.build>[1] = {}) {
  const { app, clock } = await helpers.build(t, options)
  const origin = `http://profile-${++profiles}.test` // a channel of its own
  const seen: { path: string, authorization: string | null, status: number }[] = []
  let cookie = ''

  async function send (request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    const response = await app.inject({
      method: request.method as InjectOptions['method'],
      url: pathname,
      headers: { ...Object.fromEntries(request.headers), ...(pathname.startsWith('/auth') ? { cookie } : {}) },
      payload: await request.text()
    })
    request.signal.throwIfAborted()
    const set = response.headers['set-cookie']
    if (typeof set === 'string') cookie = set.split(';', 1)[0] ?? ''
    seen.push({ path: pathname, authorization: request.headers.get('authorization'), status: response.statusCode })
    const body = response.statusCode === 204 ? null : response.body
    return new Response(body, { status: response.statusCode, headers: { 'content-type': String(response.headers['content-type']) } })
  }

  const network = { send: send as Send }
  // A browser is there until it is closed; from Node 24 on nothing else here keeps the process
  // alive.
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
    /** Opens a tab. */
    open (options: ClientOptions = {}) {
      Object.assign(globalThis, { location: { href: `${origin}/page` } })
      return createClient({ fetch: async (input) => await network.send(input as Request), ...options })
    }
  }
}

/** A promise to wait for, and its resolution. */
export function signal () {
  let done = () => {}
  const reached = new Promise<void>((resolve) => { done = resolve })
  return { reached, done }
}
