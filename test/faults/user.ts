import type { FastifyInstance } from 'fastify'

/** What a user's program sees of an answer. */
export interface Answer {
  status: number
  code: string | undefined
  /** The refresh token in its cookie, where one was set. */
  token: string | undefined
  cookies: string[]
  headers: Record<string, unknown>
  body: Record<string, unknown>
}

/** How a request reaches an application. */
export type Send = (
  method: 'GET' | 'POST',
  path: string,
  headers: Record<string, string>,
  body?: object
) => Promise<Answer>

/** The cookie of refresh tokens. */
export const cookieName = '__Host-refresh_token'

function answer (
  status: number,
  headers: Record<string, unknown>,
  cookies: string[],
  text: string
): Answer {
  const body = text.startsWith('{') ? JSON.parse(text) : {}
  const cookie = cookies.find((cookie) => cookie.startsWith(`${cookieName}=`))
  return {
    status,
    headers,
    cookies,
    body,
    code: body.code,
    token: cookie?.slice(cookieName.length + 1, cookie.indexOf(';'))
  }
}

/** Sends to an application in this process. */
export function into (app: FastifyInstance): Send {
  return async (method, url, headers, payload) => {
    const response = await app.inject({ method, url, headers, ...payload && { payload } })
    const cookies = [response.headers['set-cookie'] ?? []].flat()
    return answer(response.statusCode, response.headers, cookies, response.body)
  }
}

/** Sends to an application that listens, within `timeout` ms. */
export function over (origin: string, timeout = 10_000): Send {
  return async (method, path, headers, body) => {
    const response = await fetch(origin + path, {
      method,
      ...body === undefined
        ? { headers }
        : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) },
      signal: AbortSignal.timeout(timeout)
    })
    return answer(
      response.status,
      Object.fromEntries(response.headers),
      response.headers.getSetCookie(),
      await response.text()
    )
  }
}

/** A user's program: it keeps the tokens that it got last, as a browser does. */
export class User {
  token = ''
  access = ''

  constructor (
    readonly sub: string,
    public send: Send
  ) {}

  #take (answer: Answer): Answer {
    if (answer.status === 200) {
      this.token = answer.token ?? ''
      this.access = String(answer.body['access_token'])
    }
    return answer
  }

  async login (): Promise<Answer> {
    return this.#take(await this.send('POST', `/login/${this.sub}`, {}))
  }

  /** Refreshes with the token that it has. */
  async refresh (): Promise<Answer> {
    return this.#take(await this.present(this.token))
  }

  /** Presents some refresh token and forgets the answer. */
  async present (token: string): Promise<Answer> {
    return await this.send('POST', '/auth/refresh', { cookie: `${cookieName}=${token}` })
  }

  async logout (): Promise<Answer> {
    return await this.send('POST', '/auth/logout', { cookie: `${cookieName}=${this.token}` })
  }

  /**
   * Refreshes until it is told something that a repeat cannot change; 503 and a lost answer are
   * reasons to repeat.
   */
  async refreshThrough (
    pause: () => Promise<unknown>,
    told: (answer: Answer | Error) => void = () => {}
  ): Promise<Answer> {
    for (;;) {
      const answer = await this.refresh().catch((error: Error) => error)
      told(answer)
      if (!(answer instanceof Error) && answer.status !== 503) return answer
      await pause()
    }
  }
}
