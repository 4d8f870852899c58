// Lets a process load TypeScript: node --import ./test/support/typescript/register.mjs
import module, { Module, register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { compile } from './compile.mjs'
import { load, resolve } from './hooks.mjs'

// tap's own way compiles everything again in each process; this tells it to stand back.
process.env.TAP_TYPE_STRIP_ONLY = '1'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major > 24 || (major === 24 && minor >= 13)) {
  // tap has hooks of this kind from here on, and `require` asks no others then.
  module.registerHooks({
    resolve,
    load: (url, context, next) => /\.c?ts$/.test(url)
      ? { format: 'commonjs', source: compile(fileURLToPath(url)), shortCircuit: true }
      : load(url, context, next)
  })
} else {
  for (const extension of ['.ts', '.cts']) {
    Module._extensions[extension] = (module, path) => module._compile(compile(path), path)
  }
  register('./hooks.mjs', import.meta.url)
}
