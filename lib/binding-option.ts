import type { CookieSettings } from './http/cookie-settings'
import type { Binding } from './options/options'
import { deny, describe, isListOf, value } from './options/schema'
import type { Transport } from './session/session'
import type { Store } from './store/store'

const isBinding = (given: unknown): given is Binding => given === 'dbsc' || given === 'dpop'
const isBindings = (given: unknown): given is Binding[] =>
  isListOf(isBinding)(given) && new Set(given).size === given.length

/** Reads the option `refreshToken.bindings`; without it no session is bound. */
export const readBindings =
  value(isBindings, "'dbsc', 'dpop' or both, in an array", [] as Binding[])

/** What DBSC depends on. */
interface Given {
  transports: readonly Transport[]
  store: Store
  refreshCookie: CookieSettings
  /** Where the plugin's routes are. */
  path: string
  routes: { refresh: unknown, device: unknown }
}

/** Refuses DBSC if browsers would bind nothing, silently. @throws INVALID_OPTION */
export function checkBindings (bindings: readonly Binding[], given: Given): void {
  const { transports, store, refreshCookie, path, routes } = given
  if (!bindings.includes('dbsc')) {
    if (routes.device === undefined) return
    deny('routes.device', 'given', "nothing without 'dbsc' in refreshToken.bindings")
  }
  const allowed = (what: string): string => `${what} with 'dbsc' in refreshToken.bindings`
  const { domain, partitioned, secure, path: cookiePath = '/' } = refreshCookie.attributes
  const option = 'refreshToken.cookie'
  if (!transports.includes('cookie')) {
    deny('refreshToken.transports', describe(transports), allowed("'cookie' among them"))
  }
  if (store.bind === undefined) deny('store', 'a store that has no bind()', allowed('one that has'))
  if (domain !== undefined) deny(`${option}.domain`, describe(domain), allowed('none'))
  if (partitioned === true) deny(`${option}.partitioned`, 'true', allowed('nothing but false'))
  if (secure !== true) deny(`${option}.secure`, 'false', allowed('nothing but true'))
  if (/[:*]/.test(path)) {
    deny('prefix', `${describe(path)}, which has parameters`, allowed('a fixed path'))
  }
  const device = `${path}/device`
  if (!`${device}/`.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`)) {
    deny(`${option}.path`, describe(cookiePath), allowed(`a path that reaches ${device}`))
  }
  if (routes.refresh === undefined) {
    deny('routes.refresh', 'false', allowed('the route, which browsers hold back for a proof'))
  }
}
