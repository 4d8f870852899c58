/** A client that hands on what its server tells of itself. */
export interface Informant {
  info: (section: string) => Promise<string>
}

/** Warns of a server that may throw sessions out when its memory is full; answers nothing where it does not, or may not be asked. */
export async function warnOfEviction (client: Informant): Promise<string | undefined> {
  const memory = await client.info('memory').catch(() => '')
  const limit = /^maxmemory:(\d+)/m.exec(memory)?.[1] ?? '0'
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(memory)?.[1] ?? 'noeviction'
  if (limit === '0' || policy === 'noeviction') return undefined
  return `Redis evicts by ${policy} when its ${limit} bytes are full: sessions may be thrown out, and their users logged out; a server with noeviction keeps them`
}

/** Tells whether one script may touch keys of several users: where a server says that it is no part of a cluster. */
export async function standsAlone (client: Informant): Promise<boolean> {
  return /^(?:redis|server)_mode:standalone/m.test(await client.info('server').catch(() => ''))
}
