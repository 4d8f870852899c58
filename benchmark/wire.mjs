import { request } from './http.mjs'
import { prove } from './proofs.mjs'

const json = { 'content-type': 'application/json' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** A `sub` of 12 characters. */
export const sub = (number) => `user${String(number).padStart(8, '0')}`

/** The requests that contenders answer: one function for each way that credentials travel. */
export const wire = {
  login: (number) => request('POST', '/login', json, JSON.stringify({ sub: sub(number) })),
  boundLogin: (number) => request('POST', '/login', { ...json, dpop: prove('POST', '/login') },
    JSON.stringify({ sub: sub(number) })),
  bearer: ({ access_token: token }) => request('GET', '/me', { authorization: `Bearer ${token}` }),
  bound: ({ access_token: token }) => request('GET', '/me',
    { authorization: `DPoP ${token}`, dpop: prove('GET', '/me', token) }),
  cookie: ({ cookie }) => request('GET', '/me', { cookie }),
  // Cookie mode: a browser sends both cookies to every page.
  page: ({ cookies }) => request('GET', '/me', { cookie: cookies }),
  refresh: ({ cookie }) => request('POST', '/auth/refresh', { cookie }),
  boundRefresh: ({ cookie }) => request('POST', '/auth/refresh',
    { cookie, dpop: prove('POST', '/auth/refresh') }),
  form: ({ refresh_token: token }) => request('POST', '/auth/refresh', form,
    `grant_type=refresh_token&refresh_token=${token}`),
  // What a browser sends that binds sessions: a refresh follows each proof.
  device: ({ cookie, identifier, response }) => request('POST', '/auth/device', {
    cookie,
    'secure-session-response': response,
    ...(identifier ? { 'sec-secure-session-id': identifier } : {})
  }),
  proven: ({ cookie, proof }) =>
    request('POST', '/auth/refresh', { cookie: `${cookie}; ${proof}` }),
  grant: ({ refresh_token: token }) => request('POST', '/token', form,
    'grant_type=refresh_token&client_id=app&client_secret=secret-of-the-benchmark' +
    `&refresh_token=${token}`)
}

/**
 * Credentials of the right form that nobody issued: the last eight characters tell the forgeries
 * apart.
 */
export function forge (credentials, number) {
  const tail = number.toString(36).padStart(8, 'x')
  const forged = (value) => value && value.slice(0, -8) + tail
  return { cookie: forged(credentials.cookie), access_token: forged(credentials.access_token) }
}
