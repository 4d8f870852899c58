import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { ModuleKind, ScriptTarget, transpile } from 'typescript'

const root = join(__dirname, '../..')

/** A code block of a page. */
export interface Snippet {
  /** The page, from the root of the repository. */
  page: string
  /** The line of the page at which the code begins, from 1. */
  line: number
  /** `js` (a module), `cjs` or `ts`. */
  language: string
  code: string
}

/** The pages of the repository: the README, and all of docs. */
export const pages: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`)
].sort()

/** Returns the text of a page. */
export const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')

/** Returns the code blocks of a page that are JavaScript or TypeScript. */
export function snippetsOf (page: string): Snippet[] {
  const text = textOf(page)
  return [...text.matchAll(/^```(js|cjs|mjs|ts)\n(.*?)^```$/gms)].map((match) => {
    const [, language = '', code = ''] = match
    return { page, line: text.slice(0, match.index).split('\n').length + 1, language, code }
  })
}

const extensions: Record<string, string> = { js: 'mjs', mjs: 'mjs', cjs: 'cjs', ts: 'mts' }

/**
 * Writes a snippet to a file from which it can import what an application can; returns its path.
 * Each page has a folder of its own, so that snippets can import one whose first line names it.
 */
export function write (given: Snippet, folder: string): string {
  const { page, line, language, code } = given
  const path = join(root, '.tap', folder, page.replace(/\.md$/, '').replaceAll('/', '-'))
  mkdirSync(path, { recursive: true })
  const [, name = `${line}.${extensions[language] ?? 'mjs'}`] =
    /^\/\/ ([\w.-]+\.\w+)\n/.exec(code) ?? []
  const file = join(path, name)
  writeFileSync(file, code)
  return file
}

/** Returns the one code block of a page in which these words stand. */
export function snippet (page: string, words: string): Snippet {
  const found = snippetsOf(page).filter(({ code }) => code.includes(words))
  const [first] = found
  if (first !== undefined && found.length === 1) return first
  throw new Error(`${found.length} code blocks of ${page} have ${words}`)
}

let times = 0

/**
 * Runs the code block of a page in which these words stand, as a module of its own; resolves with
 * what it exports.
 * @param change what a test must change of the code: a port, an export that it lacks
 */
export async function recipe<T = unknown> (
  page: string, words: string, change: (code: string) => string = (code) => code
): Promise<T> {
  const found = snippet(page, words)
  const changed = change(found.code)
  const isTypeScript = found.language === 'ts'
  const options = { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 }
  const code = isTypeScript ? transpile(changed, options) : changed
  const file = write({ ...found, code, language: isTypeScript ? 'js' : found.language }, 'recipes')
  // A block can be run more than once.
  return await import(`${pathToFileURL(file).href}?${times++}`) as T
}

/**
 * Runs the code block of a page in which these words stand, in a function.
 * @param given what it uses without importing it
 * @param name which of its variables to resolve with
 * @param change what a test must change of the code
 */
export async function run<T = unknown> (
  page: string, words: string, given: Record<string, unknown>, name?: string,
  change: (code: string) => string = (code) => code
): Promise<T> {
  const isImport = /^import .*\n/gm
  const { default: start } = await recipe<{ default: (given: object) => Promise<T> }>(
    page, words, (code) => `${(code.match(isImport) ?? []).join('')}
export default async function ({ ${Object.keys(given).join(', ')} }) {
${change(code.replace(isImport, '').replaceAll(/^export /gm, ''))}
return ${name}
}`)
  return await start(given)
}

/**
 * Adds the code block of a page in which these words stand to an application.
 * @param given what it uses besides
 * @param change what a test must change of the code
 */
export async function apply (
  page: string, words: string, fastify: FastifyInstance, given: Record<string, unknown> = {},
  change?: (code: string) => string
): Promise<void> {
  await run(page, words, { fastify, ...given }, undefined, change)
}
