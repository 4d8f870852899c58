// How `import` finds and loads a file of TypeScript.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compile } from './compile.mjs'

/** What is asked for as what it becomes, './tab.mjs', is the file that it comes from. */
export function resolve (specifier, context, next) {
  const source = specifier.replace(/(?<=^\..*\.[cm]?)js$/, 'ts')
  const swap = source !== specifier && existsSync(new URL(source, context.parentURL))
  return next(swap ? source : specifier, context)
}

export function load (url, context, next) {
  if (url.endsWith('.mts')) {
    return { format: 'module', source: compile(fileURLToPath(url)), shortCircuit: true }
  }
  // What `require` does with it is done elsewhere.
  if (/\.c?ts$/.test(url)) return { format: 'commonjs', source: null, shortCircuit: true }
  return next(url, context)
}
