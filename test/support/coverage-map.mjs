import { readdirSync } from 'node:fs'
import { join } from 'node:path'

// Every test counts for all of lib; what a test runs of the examples, or of the built package, is
// not under test there; and the contract of stores is a test itself.
const files = readdirSync('lib', { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.m?ts$/.test(file) && !file.includes('contract'))
  .map((file) => join('lib', file))

export default () => files
