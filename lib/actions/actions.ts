import type { Services } from '../services'
import { createAuthenticate } from './authenticate'
import { createLogin } from './login'
import { createLogout } from './logout'
import { createSessions } from './manage-sessions'
import { createRefresh } from './refresh'
import { createRenewals } from './renewals'

/** What a registration of the plugin can do. */
export type Actions = ReturnType<typeof createActions>

/** Creates each action once: some remember what is under way, for all who ask for it. */
export function createActions (services: Services) {
  const login = createLogin(services)
  const refresh = createRefresh(services)
  const renewals = createRenewals(services, refresh)
  return {
    ...createAuthenticate(services, renewals),
    login,
    logout: createLogout(services),
    refresh,
    renewals,
    sessions: createSessions(services, login)
  }
}
