#!/usr/bin/env node
// What the tests need besides npm's packages. Run by `npm test` before the tests: finds each
// program, installs what is missing if it may, or says in one sentence each what to install.
//   node test/support/requirements.cjs                 all of them
//   node test/support/requirements.cjs redis-server    one of them
const { execFileSync, spawnSync } = require('node:child_process')
const { accessSync, constants, statSync } = require('node:fs')
const { homedir } = require('node:os')
const { delimiter, join } = require('node:path')

const { platform, env } = process
const lowestRedis = 7

/** Each program: where it is found, what installs it, and the variable that names another. */
const programs = {
  'redis-server': {
    variable: 'REDIS_SERVER', find: () => onPath('redis-server'), apt: 'redis-server', brew: ['redis']
  },
  chromium: {
    variable: 'CHROMIUM', find: findBrowser, apt: 'chromium', brew: ['--cask', 'google-chrome']
  },
  openssl: { find: () => onPath('openssl'), apt: 'openssl', brew: ['openssl'] }
}

/** Returns the path of a program; undefined if it is missing. */
function find (name) {
  const { variable, find } = programs[name]
  const named = env[variable]
  return named ? onPath(named) : find()
}

/** Returns the sentence that says what to install; undefined if there is nothing to say. */
function complaint (name) {
  const { variable, apt, brew } = programs[name]
  const named = env[variable]
  const path = find(name)
  if (path === undefined && named) return `${variable} names ${named}, which is not a program here.`
  const others = variable ? `, or ${variable}=<path> names one` : ''
  if (path === undefined) {
    if (platform === 'win32' && name === 'redis-server') {
      return 'redis-server is missing, and Redis does not run on Windows: run the tests inside WSL.'
    }
    const command = platform === 'darwin'
      ? `brew install ${brew.join(' ')}`
      : `apt-get install ${apt}, as root,`
    return platform === 'win32'
      ? `${name} is missing: install it${others}.`
      : `${name} is missing: ${command} installs it${others}.`
  }
  if (name !== 'redis-server') return undefined
  const version = versionOf(path)
  if (version >= lowestRedis) return undefined
  return `${path} is version ${version}: the tests need Redis or Valkey ${lowestRedis} or newer` +
    `; ${variable}=<path> names another.`
}

/** Returns the major version of a Redis or Valkey server; 0 if it does not say. */
function versionOf (path) {
  try {
    return Number(/\bv=(\d+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Returns the first of these names that is an executable, as a path or on PATH. */
function onPath (...names) {
  const folders = (env.PATH ?? '').split(delimiter)
  const endings = platform === 'win32' ? ['', '.exe'] : ['']
  const paths = names.flatMap((name) => /[\\/]/.test(name)
    ? [name]
    : folders.flatMap((folder) => endings.map((ending) => join(folder, name + ending))))
  return paths.find(isExecutable)
}

function isExecutable (path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Returns the path of Chromium, or of a browser made from it, where each system keeps it. */
function findBrowser () {
  if (platform === 'darwin') {
    const apps = ['Chromium', 'Google Chrome', 'Microsoft Edge']
    return onPath(...['/Applications', join(homedir(), 'Applications')].flatMap((folder) =>
      apps.map((app) => join(folder, `${app}.app/Contents/MacOS/${app}`))))
  }
  if (platform === 'win32') {
    const folders = [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA].filter(Boolean)
    const files = ['Google/Chrome/Application/chrome.exe', 'Chromium/Application/chrome.exe',
      'Microsoft/Edge/Application/msedge.exe']
    return onPath(...files.flatMap((file) => folders.map((folder) => join(folder, file))))
  }
  return onPath('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable',
    'microsoft-edge', 'microsoft-edge-stable')
}

/** Returns the words before `apt-get` that let it install; undefined if it may not. */
function asRoot () {
  if (onPath('apt-get') === undefined) return undefined
  if (process.getuid?.() === 0) return []
  const sudo = onPath('sudo')
  if (sudo === undefined) return undefined
  try {
    execFileSync(sudo, ['-n', 'true'], { stdio: 'ignore', timeout: 500 })
    return [sudo, '-n']
  } catch {
    return undefined
  }
}

/** Installs these programs if this user may; what fails is seen when they are looked for again. */
function install (names) {
  const run = (command, ...args) => {
    console.log(`Installing what the tests need: ${[command, ...args].join(' ')}`)
    const { status, stderr } = spawnSync(command, args, {
      env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, encoding: 'utf8'
    })
    if (status !== 0) console.error(stderr)
  }
  const brew = platform === 'darwin' ? onPath('brew', '/opt/homebrew/bin/brew') : undefined
  if (brew !== undefined) {
    for (const name of names) run(brew, 'install', ...programs[name].brew)
    return
  }
  const root = asRoot()
  if (root === undefined) return
  run(...root, 'apt-get', 'update', '-qq')
  for (const name of names) {
    run(...root, 'apt-get', 'install', '-y', '-qq', '--no-install-recommends', programs[name].apt)
  }
}

if (require.main === module) {
  const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(programs)
  const missing = wanted.filter((name) => find(name) === undefined && !env[programs[name].variable])
  if (missing.length > 0) install(missing)
  const sentences = wanted.map(complaint).filter((sentence) => sentence !== undefined)
  for (const sentence of sentences) console.error(sentence)
  process.exitCode = sentences.length > 0 ? 1 : 0
}

module.exports = { find, complaint }
