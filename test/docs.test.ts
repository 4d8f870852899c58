import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { pages, textOf } from './support/recipe'

const root = join(__dirname, '..')
const isCode = /^```.*?^```$|`[^`\n]*`/gms

/** Returns the relative links of a page, and the images: a path from the root, and an anchor. */
function linksOf (page: string): Array<{ path: string, anchor: string | undefined }> {
  const links = [...textOf(page).replace(isCode, '').matchAll(/\]\(([^()\s]+)\)/g)]
  return links.flatMap(([, link = '']) => {
    if (/^[a-z]+:/.test(link)) return []
    const [path = '', anchor] = link.split('#')
    return { path: path === '' ? page : relative(root, join(root, dirname(page), path)), anchor }
  })
}

/** Returns the anchors of a page, as GitHub makes them of its headings. */
function anchorsOf (page: string): string[] {
  const headings = [...textOf(page).replace(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)]
  return headings.map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
  )
}

t.test('every link of a page leads to a file, and to a heading of it', async (t) => {
  let count = 0
  for (const page of [...pages, 'examples/README.md']) {
    for (const { path, anchor } of linksOf(page)) {
      count++
      if (!existsSync(join(root, path))) t.fail(`${page} → ${path}`)
      else if (anchor !== undefined && !anchorsOf(path).includes(anchor)) {
        t.fail(`${page} → ${path}#${anchor}`)
      }
    }
  }
  t.ok(count > 150, `${count} links`)
})

t.test('every page is found from the README in two steps', async (t) => {
  const read = (page: string): string =>
    statSync(join(root, page)).isDirectory() ? join(page, 'README.md') : page
  const step = (from: string[]): string[] =>
    from
      .flatMap((page) => linksOf(page))
      .map(({ path }) => read(path))
      .filter((path) => path.endsWith('.md') && existsSync(join(root, path)))
  const one = step(['README.md'])
  const found = new Set([...one, ...step(one)])
  t.strictSame(pages.filter((page) => !found.has(page) && page !== 'README.md'), [])
})

t.test('what the benchmarks import of the package is there', async (t) => {
  const folder = join(root, 'benchmark')
  const files = readdirSync(folder).filter((file) => file.endsWith('.mjs'))
  const imports = files.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/'\.\.\/dist\/(.*?)\.(m?)js'/g)])
  t.ok(imports.length > 5)
  for (const [, path, m] of imports) {
    t.ok(existsSync(join(root, 'lib', `${path}.${m}ts`)), `lib/${path}.${m}ts`)
  }
})

t.test('the README says what to run, and comes to the reference soon', async (t) => {
  const readme = textOf('README.md')
  for (const command of ['npm start', 'npm ci && npm test']) t.match(readme, command)
  const before = readme.slice(0, readme.indexOf('\n# Reference\n'))
  t.ok(before.split(/\s+/).length <= 720, 'half of what it once was')
})

// Words that a reader who learned English at school stumbles over, and the ones to write instead.
const words: Record<string, string> = {
  anew: 'again',
  dearer: 'more expensive',
  nor: 'not … either',
  'save for': 'except for',
  'tells whether': 'returns whether',
  'takes in': 'reads',
  'has patience': 'waits',
  'has no say': 'is ignored',
  'comes to nothing': 'is rejected',
  'at the longest': 'at most',
  'is over': 'has ended',
  behaviour: 'behavior',
  serialise: 'serialize',
  normalise: 'normalize',
  recognise: 'recognize',
  licence: 'license',
  optimisation: 'optimization'
}

t.test('pages are in plain American English', async (t) => {
  for (const page of pages) {
    const text = textOf(page).replace(isCode, '')
    for (const [word, better] of Object.entries(words)) {
      const at = text.search(new RegExp(`\\b${word}\\b`, 'i'))
      if (at >= 0) t.fail(`${page}:${text.slice(0, at).split('\n').length} ${word} → ${better}`)
    }
  }
  t.pass(`${pages.length} pages`)
})
