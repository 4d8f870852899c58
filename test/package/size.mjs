// What installing the package adds, beside the bare plugins that an application has anyway: node
// test/package/size.mjs
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { devDependencies, dependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8')
)
const folder = mkdtempSync(join(tmpdir(), 'size-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const npm = (cwd, ...args) =>
  execFileSync('npm', [...args, '--silent', '--no-audit', '--no-fund'], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  })
const tarball = join(
  folder,
  npm(root, 'pack', '--pack-destination', folder).trim().split('\n').at(-1)
)
const bare = {
  fastify: devDependencies.fastify,
  ioredis: devDependencies.ioredis,
  '@fastify/cookie': dependencies['@fastify/cookie'],
  '@fastify/jwt': dependencies['@fastify/jwt']
}

const measure = (wanted) => {
  const place = mkdtempSync(join(folder, 'place-'))
  writeFileSync(
    join(place, 'package.json'),
    JSON.stringify({ private: true, dependencies: wanted })
  )
  npm(place, 'install', '--omit=dev', '--prefer-offline')
  const files = readdirSync(join(place, 'node_modules'), {
    recursive: true,
    withFileTypes: true
  }).filter((entry) => entry.isFile())
  const bytes = files.reduce(
    (sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size,
    0
  )
  const packages =
    Object.keys(JSON.parse(readFileSync(join(place, 'package-lock.json'), 'utf8')).packages)
      .length - 1
  return { bytes, packages }
}

const without = measure(bare)
const withIt = measure({ ...bare, 'fastify-jwt-sessions': `file:${tarball}` })
console.log(`the tarball: ${(statSync(tarball).size / 1024).toFixed(0)} kB`)
console.log(
  `fastify, ioredis, @fastify/cookie, @fastify/jwt: ${without.packages} packages, ${(without.bytes / 1024).toFixed(0)} kB`
)
console.log(
  `with fastify-jwt-sessions: ${withIt.packages - without.packages} packages and ${((withIt.bytes - without.bytes) / 1024).toFixed(0)} kB more`
)
