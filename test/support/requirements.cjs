#!/usr/bin/env node
// What the tests need besides npm's packages. Run by `npm test` before the tests: finds each
// program, installs what is missing if it may, or says in one sentence each what to install.
//   node test/support/requirements.cjs                 all of them
//   node test/support/requirements.cjs redis-server    one of them
//   node test/support/requirements.cjs --if-possible nginx
//                    what only CI insists on: elsewhere the tests that need it are left out
const { execFileSync, spawnSync } = require('node:child_process')
const { accessSync, constants, statSync } = require('node:fs')
const { homedir } = require('node:os')
const { delimiter, join } = require('node:path')

const { platform, env } = process
const lowestRedis = 7

/** Each program: where it is found, what installs it, and the variable that names another. */
const programs = {
  'redis-server': {
    variable: 'REDIS_SERVER',
    find: () => onPath('redis-server'),
    apt: 'redis-server',
    brew: ['redis']
  },
  chromium: {
    variable: 'CHROMIUM', find: findBrowser, apt: 'chromium', brew: ['--cask', 'google-chrome']
  },
  openssl: { find: () => onPath('openssl'), apt: 'openssl', brew: ['openssl'] },
  // What other people's programs do with the plugin is seen when the package is tested.
  curl: { find: () => onPath('curl'), apt: 'curl', brew: ['curl'], byName: true },
  nginx: {
    find: () => onPath('nginx', '/usr/sbin/nginx'), apt: 'nginx', brew: ['nginx'], byName: true
  },
  python3: {
    variable: 'PYTHON',
    find: findPython,
    apt: 'python3-requests-oauthlib python3-authlib python3-jwt',
    brew: ['python3'],
    byName: true
  }
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
    const said = execFileSync(path, ['--version'], { encoding: 'utf8' })
    return Number(/\bv=(\d+)/.exec(said)?.[1] ?? 0)
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

/** Returns the path of a Python that has the OAuth libraries. */
function findPython () {
  const script = 'import authlib, cryptography, jwt, requests_oauthlib'
  return ['python3', '/usr/bin/python3'].flatMap((name) => onPath(name) ?? [])
    .find((path) => spawnSync(path, ['-c', script], { timeout: 10_000 }).status === 0)
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
    const packages = programs[name].apt.split(' ')
    run(...root, 'apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages)
  }
}

if (require.main === module) {
  const names = process.argv.slice(2).filter((name) => name !== '--if-possible')
  const mayLack = process.argv.includes('--if-possible') && !env.CI
  const wanted = names.length > 0
    ? names
    : Object.keys(programs).filter((name) => !programs[name].byName)
  const missing = wanted.filter((name) => find(name) === undefined && !env[programs[name].variable])
  if (missing.length > 0) install(missing)
  const sentences = wanted.map(complaint).filter((sentence) => sentence !== undefined)
  for (const sentence of sentences) console.error(sentence)
  if (sentences.length > 0 && mayLack) console.error('Tests that need them are LEFT OUT here.')
  process.exitCode = sentences.length > 0 && !mayLack ? 1 : 0
}

module.exports = { find, complaint }
