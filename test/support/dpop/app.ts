import { hash } from 'node:crypto'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { createDevice, type Device } from '../proofs'

type Members = Record<string, unknown>

/** A part of an answer that a test looks at. */
interface Tokens {
  access_token: string
  token_type: string
  refresh_token?: string
}

const origin = 'http://localhost'
const tokenCookie = '__Host-refresh_token'

/**
 * An app that holds a key and speaks DPoP by hand: it takes the nonces that it is given, repeats
 * nothing by itself, and keeps the tokens of the last answer.
 */
export class DpopApp {
  readonly device: Device
  readonly #app: FastifyInstance
  readonly #now: () => number
  nonce: string | undefined
  accessToken = ''
  tokenType = ''
  refreshToken = ''
  /** How the refresh token travels. */
  transport: 'cookie' | 'body' = 'cookie'

  constructor (app: FastifyInstance, now: () => number, device = createDevice()) {
    this.#app = app
    this.#now = now
    this.device = device
  }

  /** Makes a proof for a request; `undefined` in `claims` removes a member. */
  prove (method: string, path: string, claims: Members = {}): string {
    const { nonce } = this
    const iat = Math.floor(this.#now() / 1000)
    return this.device.prove({ htm: method, htu: `${origin}${path}`, iat, nonce, ...claims })
  }

  /** The `ath` of the access token. */
  get ath (): string {
    return hash('sha256', this.accessToken, 'base64url')
  }

  async post (
    path: string, body: object | undefined, headers: Record<string, unknown> = {}
  ): Promise<LightMyRequestResponse> {
    const options = { method: 'POST', url: path, headers } as InjectOptions
    return this.#keep(await this.#app.inject(body === undefined ? options : { ...options, body }))
  }

  /** Logs in at the application's route, with a proof unless `dpop` says otherwise. */
  async login (
    options: object = {}, dpop: string | null = this.prove('POST', '/login')
  ): Promise<LightMyRequestResponse> {
    const body = { claims: { sub: 'ada' }, options: { transport: this.transport, ...options } }
    return await this.post('/login', body, dpop === null ? {} : { dpop })
  }

  /** Refreshes by this app's transport, with a proof unless `dpop` says otherwise. */
  async refresh (
    dpop: string | string[] | null = this.prove('POST', '/auth/refresh'), more: object = {}
  ): Promise<LightMyRequestResponse> {
    return await this.#present('/auth/refresh', dpop, {}, more)
  }

  /** Logs out, without a proof unless one is given. */
  async logout (body: object = {}, dpop: string | null = null): Promise<LightMyRequestResponse> {
    return await this.#present('/auth/logout', dpop, body)
  }

  /** Calls a guarded route, as the token's type has it. */
  async me (path = '/me', claims: Members = {}, scheme = this.tokenType) {
    const authorization = `${scheme} ${this.accessToken}`
    const { ath } = this
    const headers = scheme === 'DPoP'
      ? { authorization, dpop: this.prove('GET', path, { ath, ...claims }) }
      : { authorization }
    return this.#keep(await this.#app.inject({ url: path, headers }))
  }

  async #present (path: string, dpop: unknown, body: object, more: object = {}) {
    const headers = { ...dpop === null ? {} : { dpop }, ...more }
    if (this.transport === 'body') {
      return await this.post(path, { refresh_token: this.refreshToken, ...body }, headers)
    }
    const cookie = `${tokenCookie}=${this.refreshToken}`
    return await this.post(path, body, { cookie, ...headers })
  }

  #keep (response: LightMyRequestResponse): LightMyRequestResponse {
    const nonce = response.headers['dpop-nonce']
    if (nonce !== undefined) this.nonce = String(nonce)
    const set = response.cookies.find(({ name }) => name === tokenCookie)
    if (response.statusCode !== 200 || !response.body.includes('access_token')) return response
    const tokens = response.json<Tokens>()
    this.accessToken = tokens.access_token
    this.tokenType = tokens.token_type
    this.refreshToken = tokens.refresh_token ?? set?.value ?? this.refreshToken
    return response
  }
}
