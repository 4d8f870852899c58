/** Where an application keeps the refresh token of the body transport. */
export interface TokenStorage {
  get (): string | null | undefined | Promise<string | null | undefined>
  set (refreshToken: string): unknown
  clear (): unknown
}

/** What `createClient` may be told. */
export interface ClientOptions {
  /** Where the plugin's routes are: a path, or a whole URL where there is no page or the page is of another origin. Default `/auth`. */
  prefix?: string
  /** Is called once in every tab when the session is over. */
  onSessionEnd?: () => void
  /** Is called with the lifetime, in seconds, of each new access token, whichever tab fetched it. */
  onToken?: (expiresIn: number) => void
  /** Turns the body transport on: where the refresh token is kept. Without it, the cookie is used. */
  storage?: TokenStorage
  /** The longest that login, refresh and logout, and the wait for another tab's refresh, may take, in seconds. Default 10. */
  timeout?: number
  /** Is used instead of the global `fetch`. */
  fetch?: typeof fetch
}

/** A client; its functions need no `this`. */
export interface Client {
  /** Posts `body` as JSON to a login route, keeps the tokens of the answer, and resolves with the answer. */
  login (url: string | URL, body?: unknown, init?: RequestInit): Promise<Response>
  /** Is `fetch` with the access token, to the origin of `prefix` alone; a 401 has the token renewed and the request repeated once. */
  fetch (input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** Ends the session in all tabs, with `all` on every device; where the answer is not ok, the session goes on. */
  logout (options?: { all?: boolean }): Promise<Response>
  /** Finds out by a refresh whether there is a session; rejects where that cannot be known now. */
  restore (): Promise<boolean>
  /** Resolves with a good access token for what is no fetch (a WebSocket, say), or undefined without a session. */
  accessToken (): Promise<string | undefined>
}

/** A token response, as login and refresh send it. */
export interface Tokens {
  access_token: string
  /** Seconds. */
  expires_in: number
  /** With the body transport alone. */
  refresh_token: string
}

/** What a tab learns, by itself or from another one: one of three. */
export interface News {
  tokens?: Tokens
  /** A refresh failed without a verdict on the session; for so many seconds nobody tries again. */
  wait?: number
  /** The status of that failure; where there is none, the network failed. */
  status?: number
  /** With neither of these: the session `sid` is over; without a `sid`, whichever there is. */
  sid?: string
}
