import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { Instructions } from '../../../lib/binding/dbsc/instructions'
import { Device } from './device'

type Headers = Record<string, string>

/** A browser that binds sessions, as Chromium does it, over `inject`. */
export class BindingBrowser {
  readonly device: Device
  readonly cookies = new Map<string, string>()
  /** The offer of the last login. */
  offer: string | undefined
  /** What it was told about its bound session. */
  session: Instructions | undefined
  /** What was asked of the server, in order: path and status. */
  readonly trace: string[] = []
  signatures = 0
  /** Why it cannot prove its key just now, if it cannot. */
  trouble: string | undefined
  readonly #app: FastifyInstance
  #challenge: string | undefined
  #signed: { challenge: string, response: string } | undefined

  constructor (app: FastifyInstance, device = new Device()) {
    this.#app = app
    this.device = device
  }

  /** Returns another browser that has a copy of the cookies, and nothing else. */
  thief (): BindingBrowser {
    const thief = new BindingBrowser(this.#app)
    for (const [name, value] of this.cookies) thief.cookies.set(name, value)
    return thief
  }

  async login (claims: object = { sub: 'ada' }, options?: object): Promise<LightMyRequestResponse> {
    return await this.#send('/login', {}, { claims, options })
  }

  /** Registers the key by the offer of the last login, or by another one. */
  async register (offer = this.offer ?? ''): Promise<LightMyRequestResponse> {
    const [, path = '', challenge = ''] = /;path="(.*?)";challenge="(.*?)"/.exec(offer) ?? []
    this.signatures++
    const headers = { 'secure-session-response': this.device.register(challenge) }
    const response = await this.#send(path, headers)
    if (response.statusCode === 200) this.session = response.json<Instructions>()
    return response
  }

  /** Logs in and registers the key. */
  async bind (claims?: object, options?: object): Promise<LightMyRequestResponse> {
    const login = await this.login(claims, options)
    const response = await this.register()
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${response.body}`)
    return login
  }

  /** Proves the key, as before a request in scope; returns the last answer of the route. */
  async prove (): Promise<LightMyRequestResponse> {
    const { session } = this
    if (session === undefined) throw new Error('no bound session')
    const { session_identifier: id, refresh_url: path } = session
    for (let tries = 0; ; tries++) {
      const challenge = this.#challenge
      const headers: Headers = { 'sec-secure-session-id': id }
      if (challenge !== undefined) headers['secure-session-response'] = this.#sign(challenge)
      const response = await this.#send(path, headers)
      const again = response.statusCode === 403 && this.#challenge !== challenge
      if (!again || tries === 4) {
        const goesOn = response.statusCode === 200 || response.statusCode >= 500
        if (!goesOn || response.body.includes('"continue":false')) this.session = undefined
        return response
      }
    }
  }

  /** Refreshes: the request is held back for a proof, and follows a redirect. */
  async refresh (headers: Headers = {}): Promise<LightMyRequestResponse> {
    const path = '/auth/refresh'
    const wasHeld = await this.#hold(path)
    const first = await this.#send(path, { ...headers, ...this.#skipped() })
    if (first.statusCode !== 307) return first
    if (!wasHeld) await this.#hold(path)
    const target = new URL(String(first.headers.location), `https://localhost${path}`)
    return await this.#send(target.pathname + target.search, { ...headers, ...this.#skipped() })
  }

  /** Sends a request as it is. */
  async post (path: string, headers: Headers = {}): Promise<LightMyRequestResponse> {
    return await this.#send(path, headers)
  }

  // The same challenge is signed once.
  #sign (challenge: string): string {
    if (this.#signed?.challenge === challenge) return this.#signed.response
    this.signatures++
    const response = this.device.prove(challenge)
    this.#signed = { challenge, response }
    return response
  }

  async #hold (path: string): Promise<boolean> {
    const { session } = this
    if (session === undefined || this.trouble !== undefined) return false
    const inScope = session.scope.scope_specification.at(-1)?.path === path
    const missing = session.credentials.some(({ name }) => !this.cookies.has(name))
    if (!inScope || !missing) return false
    await this.prove()
    return true
  }

  #skipped (): Headers {
    return this.trouble === undefined ? {} : { 'secure-session-skipped': this.trouble }
  }

  async #send (url: string, headers: Headers, payload?: object): Promise<LightMyRequestResponse> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const all = { ...headers, ...(cookie === '' ? {} : { cookie }) }
    const response = await this.#app.inject({ method: 'POST', url, headers: all, payload })
    this.trace.push(`${url} ${response.statusCode}`)
    for (const { name, value, maxAge } of response.cookies) {
      if (maxAge === 0) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    const offer = response.headers['secure-session-registration']
    if (offer !== undefined) this.offer = String(offer)
    const challenge = response.headers['secure-session-challenge']
    if (challenge !== undefined) this.#challenge = /^"(.*?)"/.exec(String(challenge))?.[1]
    return response
  }
}
