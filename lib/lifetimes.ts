import { deny } from './options/schema'

const days = 24 * 60 * 60_000

/** Returns the idle lifetime, capped where it is defaulted; all in ms. @throws INVALID_OPTION */
export function chooseIdleLifetime (given: number | undefined, absolute: number): number {
  const idle = given ?? Math.min(14 * days, absolute)
  if (idle > absolute) {
    const most = `up to refreshToken.absoluteLifetime, ${absolute / 1000} s`
    deny('refreshToken.idleLifetime', `${idle / 1000} s`, most)
  }
  return idle
}

/** Returns what to log of lifetimes in ms that are allowed, and seldom meant. */
export function lifetimeWarnings (
  lifetime: number, idleLifetime: number, gracePeriod: number
): string[] {
  const given = `accessToken.lifetime is ${lifetime / 1000} s`
  return [
    ...lifetime > days
      ? [`${given}, more than a day: durations are in seconds, and a revoked session lives ` +
        'on that long']
      : [],
    ...lifetime > idleLifetime
      ? [`${given}, more than refreshToken.idleLifetime: a session can run out before it`]
      : [],
    ...gracePeriod >= idleLifetime
      ? [`refreshToken.gracePeriod is ${gracePeriod / 1000} s, and a session ends after at most ` +
        `${idleLifetime / 1000} s idle: a refresh token expires before it can count as reuse`]
      : []
  ]
}
