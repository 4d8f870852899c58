import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { createDeviceBinding, type DeviceBinding } from './binding/dbsc/binding'
import { createDpop, type Dpop } from './binding/dpop/dpop'
import { createEmit, type Emit } from './events'
import { createCookie, prepareCookies, type Cookie } from './http/cookies'
import { createReadCredentials, type ReadCredentials } from './http/credentials'
import type { IsTrusted } from './http/cross-origin'
import { createDurability, noDurability } from './session/durability'
import { createEndings, type Endings } from './session/endings'
import { createWatch, noWatch, type RevocationWatch } from './session/revocation-watch'
import type { Settings } from './settings'
import { boundStore, type BoundedStore } from './store/bounded'
import { MemoryStore } from './store/memory'
import { openStore } from './store/open'
import { createAccessTokens, type AccessTokens } from './tokens/access-token'
import { createRefreshTokens, type RefreshTokens } from './tokens/refresh-token'
import { prepareRefreshKeys, prepareSigners } from './tokens/signers'

/** What the actions and the routes work with: created once, when the plugin is registered. */
export interface Services {
  readonly settings: Settings
  readonly accessTokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly store: BoundedStore
  readonly watch: RevocationWatch
  readonly endings: Endings
  readonly readCredentials: ReadCredentials
  readonly refreshCookie: Cookie
  /** `undefined`: no cookie mode. */
  readonly accessCookie: Cookie | undefined
  readonly isTrusted: IsTrusted
  /** `undefined`: no login is bound by DBSC. */
  readonly deviceBinding: DeviceBinding | undefined
  /** There whatever the options say now: bound sessions stay bound. */
  readonly dpop: Dpop
  readonly emit: Emit
  readonly log: FastifyBaseLogger
}

const memoryOnly =
  'MemoryStore: sessions live in this process only and end with it; for development and tests'

/** What is created in a scope of the plugin's own. */
type Prepared =
  'accessTokens' | 'readCredentials' | 'refreshCookie' | 'accessCookie' | 'deviceBinding'

/** Creates what the settings ask for; the store is opened when the instance is ready. */
export async function createServices (
  fastify: FastifyInstance, settings: Settings
): Promise<Services> {
  const { accessToken, push, refreshToken, ring, storeTimeout } = settings
  const { log } = fastify
  if (settings.store instanceof MemoryStore) {
    log.warn(memoryOnly)
  }
  const emit = createEmit(settings.path)
  const store = boundStore(settings.store, storeTimeout, emit)
  const watch = push ? createWatch(store, accessToken.lifetime, log, emit) : noWatch
  const durability = settings.durability === undefined
    ? noDurability
    : createDurability(settings.store, settings.durability, log, emit)
  let stopOpening = (): void => {}
  fastify.addHook('onReady', async () => {
    const { opened, stop } = openStore(store, log)
    stopOpening = stop
    await opened
  })
  // A hook of its own: Fastify's pluginTimeout is for each.
  fastify.addHook('onReady', async () => {
    await watch.open()
  })
  fastify.addHook('onClose', async () => {
    stopOpening()
    watch.close()
    durability.close()
  })
  // @fastify/jwt and @fastify/cookie in a scope where they meet no other instance.
  let prepared: Pick<Services, Prepared> | undefined
  await fastify.register(async (scope) => {
    const codec = await prepareCookies(scope)
    const refreshCookie = createCookie(codec, settings.refreshCookie)
    const accessCookie = settings.accessCookie && createCookie(codec, settings.accessCookie)
    const deviceBinding = refreshToken.bindings.includes('dbsc')
      ? createDeviceBinding(settings, codec)
      : undefined
    const { transports } = refreshToken
    prepared = {
      accessTokens: createAccessTokens(await prepareSigners(scope, ring, accessToken), accessToken),
      readCredentials:
        createReadCredentials(transports, refreshCookie, accessCookie, deviceBinding?.proofCookie),
      refreshCookie,
      accessCookie,
      deviceBinding
    }
  })
  return {
    ...prepared as NonNullable<typeof prepared>,
    settings,
    refreshTokens: createRefreshTokens(prepareRefreshKeys(ring)),
    store,
    watch,
    endings: createEndings(watch, durability, emit),
    isTrusted: settings.isTrusted,
    dpop: createDpop(ring, store.now),
    emit,
    log
  }
}
