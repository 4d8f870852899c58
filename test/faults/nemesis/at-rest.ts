import type { Finding } from './checker'
import type { History } from './history'

// Whatever is JSON within a token begins so; a random id may, too, but is no text then.
const token = /eyJ[\w-]{12,}/g
const isText = (encoded: string): boolean =>
  /^[ -~]+$/.test(Buffer.from(encoded.slice(0, 16), 'base64url').toString('latin1'))

/** Returns the secret keys of all sessions, in every form in which they could be kept. */
function keysOf ({ entries }: History): Map<string, string> {
  const keys = new Map<string, string>()
  for (const { verb, session, heard } of entries) {
    if (verb !== 'login' || heard.token === undefined) continue
    const [, payload = ''] = heard.token.text.split('.')
    const { key } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { key: string }
    const bytes = Buffer.from(key, 'base64url')
    for (const form of ['latin1', 'hex', 'base64', 'base64url'] as const) {
      keys.set(bytes.toString(form), session)
    }
  }
  return keys
}

/** Finds keys without a TTL, and tokens in what a Redis held. */
export function findAtRest (history: History): Finding[] {
  const held = history.dumps.flat()
  const eternal = held.filter(({ ttl }) => ttl < 0)
    .map(({ name }) => ({ rule: `the key ${name} has no TTL`, session: '', entries: [] }))
  const texts = new Set(held.flatMap(({ texts }) => texts.map((text) => text.toString('latin1'))))
  const all = [...texts].join('\n')
  const sessions = [...keysOf(history)].filter(([key]) => all.includes(key))
    .map(([, session]) => session)
  if (all.match(token)?.some(isText)) sessions.push('')
  return [...eternal, ...sessions.map((session) =>
    ({ rule: 'a token is at rest', session, entries: [] }))]
}
