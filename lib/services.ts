import type { FastifyBaseLogger } from 'fastify'
import type { AccessTokens } from './tokens/access-token'
import type { Durability } from './session/durability'
import type { Settings } from './settings'
import type { RefreshTokens } from './tokens/refresh-token'
import type { Watch } from './session/revocation-watch'
import type { Ask } from './store/bounded'

/** What the verbs work with. */
export interface Context {
  readonly settings: Settings
  readonly accessTokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly ask: Ask
  readonly watch: Watch
  readonly durability: Durability
  readonly log: FastifyBaseLogger
  /** The time in ms since the epoch, by the store's clock where it is known. */
  readonly now: () => number
}
