import { createHash } from 'node:crypto'
import { bind } from './bind.lua'
import { create } from './create.lua'
import { endAll } from './end-all.lua'
import { end } from './end.lua'
import { find } from './find.lua'
import { list } from './list.lua'
import { rotate } from './rotate.lua'
import { update } from './update.lua'

/** A Lua script, and the digest by which a server knows it. */
export interface Script {
  readonly lua: string
  readonly sha: string
  /**
   * How many of its arguments, behind `notAfter`, hold for all keys of a command; those of each key
   * follow them. `undefined`: the script takes one key.
   */
  readonly shared?: number
}

/** Creates the scripts, one for each verb of a store; they publish endings on that channel. */
export function createScripts (channel: string) {
  const quoted = quote(channel)
  return {
    create: toScript(create(quoted)),
    find: toScript(find),
    list: toScript(list),
    rotate: { ...toScript(rotate(quoted)), shared: 3 },
    update: toScript(update),
    end: toScript(end(quoted)),
    endAll: toScript(endAll(quoted)),
    bind: toScript(bind)
  }
}

/** The scripts, one for each verb of a store. */
export type Scripts = ReturnType<typeof createScripts>

function toScript (text: string): Script {
  const lua = text.trim()
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

// A text as Lua reads it, whatever characters are in it.
function quote (text: string): string {
  const escape = (character: string) =>
    [...Buffer.from(character)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')
  return `'${text.replace(/[^\w:-]/gu, escape)}'`
}
