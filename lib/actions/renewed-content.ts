import { isDeepStrictEqual } from 'node:util'
import { packContent, readContent } from '../session/content'
import type { Rotation, SessionRecord } from '../store/store'

type Claims = Record<string, unknown>

/** What the `claims` hook was shown, and what it has answered. */
export interface Renewed {
  readonly shown: SessionRecord
  readonly claims: Claims
}

/**
 * Returns the content to write with a rotation of the session as it is now, or `undefined` if that
 * is the present one. What the hook has changed is changed; all else stands as an update, or
 * another refresh, has left it meanwhile.
 */
export function renewedContent (
  { shown, claims }: Renewed, { content: from }: SessionRecord
): Rotation['content'] {
  const present = readContent({ content: from })
  const merged = from === shown.content
    ? claims
    : mergeClaims(readContent(shown).claims, claims, present.claims)
  const to = packContent({ ...present, claims: merged })
  return to === from ? undefined : { from, to }
}

function mergeClaims (shown: Claims, answered: Claims, present: Claims): Claims {
  const names = Object.keys({ ...shown, ...answered })
  const changed = names.filter((name) => !isDeepStrictEqual(shown[name], answered[name]))
  return { ...present, ...Object.fromEntries(changed.map((name) => [name, answered[name]])) }
}
