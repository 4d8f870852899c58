import { createCookie, type Codec, type Cookie } from '../../http/cookies'
import type { CookieSettings } from '../../http/cookie-settings'
import type { Key } from '../../tokens/keys'
import type { Ring } from '../../tokens/signers'
import { createPublicKeys } from '../public-keys'
import { createDbsc, type Dbsc } from './dbsc'
import { createInstructions, type Instructions } from './instructions'
import { createProofs, type Proofs } from './proof'
import { proofCookieOf } from './proof-cookie'
import type { DeviceSecret, DeviceSecrets } from './timed-token'

/** What the binding of sessions to devices works with. */
export interface DeviceBinding {
  readonly protocol: Dbsc
  readonly proofs: Proofs
  /** The cookie that proofs travel in. */
  readonly proofCookie: Cookie
  /** Returns what a browser is told about a bound session of this identifier. */
  readonly instruct: (identifier: string) => Instructions
}

/** What `createDeviceBinding` needs of the settings. */
interface Settings {
  ring: Ring<Key>
  refreshCookie: CookieSettings
  /** Where the routes are. */
  path: string
  /** The foreign hosts whose pages refresh. */
  initiators: readonly string[]
}

/** Creates what the binding works with. `codec` reads and writes cookies. */
export function createDeviceBinding (settings: Settings, codec: Codec): DeviceBinding {
  const { ring, refreshCookie, path, initiators } = settings
  const secrets = ring.flatMap(({ kid, derived }): DeviceSecret[] =>
    derived === undefined ? [] : [{ kid, secret: derived.device }]) as unknown as DeviceSecrets
  const cookie = proofCookieOf(refreshCookie)
  const routes = { device: `${path}/device`, refresh: `${path}/refresh` }
  return {
    protocol: createDbsc(secrets, createPublicKeys(), routes.device),
    proofs: createProofs(secrets),
    proofCookie: createCookie(codec, cookie),
    instruct: createInstructions(routes, cookie, initiators, codec)
  }
}
