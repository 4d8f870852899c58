/** Where an application keeps the refresh token of the body transport. */
export interface TokenStorage {
  get (): string | null | undefined | Promise<string | null | undefined>
  set (refreshToken: string): unknown
  clear (): unknown
}

/**
 * Why a session has ended: `logout` in any tab; `expired`, `reused` or `revoked` as a refresh was
 * told; `replaced` by the login of another user.
 */
export type SessionEnd = 'logout' | 'expired' | 'reused' | 'revoked' | 'replaced'

/** What `createClient` may be told. */
export interface ClientOptions {
  /**
   * Where the plugin's routes are: a path, or a whole URL where there is no page or the page is of
   * another origin.
   * @default '/auth'
   */
  prefix?: string | undefined
  /** Is called once, in every tab that had an access token, when the session has ended. */
  onSessionEnd?: ((reason: SessionEnd) => void) | undefined
  /**
   * Is called with the lifetime, in seconds, of each new access token, whichever tab fetched it.
   */
  onToken?: ((expiresIn: number) => void) | undefined
  /** Turns the body transport on: where the refresh token is kept. Without it, a cookie is used. */
  storage?: TokenStorage | undefined
  /**
   * The most that a login, a refresh and a logout, and the wait for another tab's refresh, may
   * take, in seconds.
   * @default 10
   */
  timeout?: number | undefined
  /** Is used instead of the global `fetch`; it is given a `Request`. */
  fetch?: typeof fetch | undefined
}

/** A client; its functions need no `this`. */
export interface Client {
  /**
   * Posts `body` as JSON to a login route, keeps the tokens of the answer, and resolves with the
   * answer, whatever its status.
   * @throws Error where the login brings no refresh token for the storage, or where the access
   *   token is in a cookie; and what `fetch` throws
   */
  login (url: string | URL, body?: unknown, init?: RequestInit): Promise<Response>
  /**
   * Is `fetch` with the access token, to the origin of `prefix` only. A 401 has the token renewed
   * and the request repeated, once.
   * @throws Error `refresh failed` where the token has run out and cannot be renewed now
   */
  fetch (input: string | URL | Request, init?: RequestInit): Promise<Response>
  /**
   * Ends the session in all tabs, with `all` on every device. The session goes on unless the
   * answer is 202 or 204.
   */
  logout (options?: { all?: boolean | undefined }): Promise<Response>
  /**
   * Finds out by a refresh whether there is a session.
   * @throws Error `refresh failed` where that cannot be known now
   */
  restore (): Promise<boolean>
  /**
   * Renews the access token now, whatever it has left, and resolves with whether there is a
   * session.
   * @throws Error `refresh failed` where that cannot be known now
   */
  refresh (): Promise<boolean>
  /**
   * Resolves with an access token that has not run out, for what is no fetch (a WebSocket, say), or
   * with undefined without a session.
   * @throws Error `refresh failed` where there is a session, but no such token can be had now
   */
  accessToken (): Promise<string | undefined>
  /** Gives back channel, locks and timers; what is in flight is finished. Later calls reject. */
  close (): void
}

/** A token response, as login and refresh send it. */
export interface Tokens {
  access_token: string
  /** Seconds. */
  expires_in: number
  /** With the body transport only. */
  refresh_token: string
}

/** What a tab learns, by itself or from another one: one of three. */
export interface News {
  tokens?: Tokens
  /** When those were asked for, in ms since the epoch. */
  at?: number
  /** A refresh failed without a verdict on the session; for so many seconds nobody tries again. */
  wait?: number
  /** The status of that failure; where there is none, the network failed. */
  status?: number
  /** What the developer should know of that failure. */
  message?: string
  /** Otherwise the session `sid` has ended; without a `sid`, whichever there is. */
  sid?: string
  reason?: SessionEnd
}

/** What is used of a page, whose types are not here; each part may be missing. */
export interface Page {
  location?: { href: string }
  BroadcastChannel?: typeof BroadcastChannel
  navigator?: {
    locks?: {
      request (name: string, options: object, work: (lock: unknown) => unknown): Promise<unknown>
    }
  }
}
