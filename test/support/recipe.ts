import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(__dirname, '../..')

/** Runs the code block of a page in which these words stand, as a module of its own; answers what it exports. */
export async function recipe<T = unknown> (page: string, words: string): Promise<T> {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = '']) => code)
  const found = blocks.flatMap((code, i) => code.includes(words) ? [{ code, i }] : [])
  const [block] = found
  if (block === undefined || found.length > 1) throw new Error(`${found.length} code blocks of ${page} have ${words}`)
  const folder = join(root, '.tap/recipes')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${basename(page, '.md')}-${block.i}.mjs`)
  writeFileSync(file, block.code)
  return await import(pathToFileURL(file).href) as T
}
