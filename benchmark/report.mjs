// Makes results/results.md and results/results.svg of results/results.json: node report.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { plot } from './plot.mjs'

const file = (name) => new URL(`results/${name}`, import.meta.url)
const titles = {
  one: 'Authenticate, one token',
  pages: 'Pages in cookie mode, the access cookie expired at every 30th',
  many: 'Authenticate, 20,000 tokens in turn',
  forged: 'Authenticate, forged tokens',
  refresh: 'Refresh, 64 chains',
  turns: 'Refresh, 80,000 sessions in turn',
  login: 'Log in'
}

/** The loads that the plot shows. */
const plotted = ['one', 'pages', 'refresh'].map((load) => titles[load])

/** Whom each of ours is compared with under a load, beside the bare route. */
const comparisons = [
  ['one', 'ours HS256', '@fastify/jwt HS256'],
  ['one', 'ours EdDSA', '@fastify/jwt EdDSA'],
  ['one', 'ours HS256, push', 'ours HS256'],
  ['one', 'ours HS256, cookie', '@fastify/session'],
  ['one', 'ours HS256, cookie', '@fastify/session, defaults'],
  ['one', 'ours HS256, cookie', '@fastify/session, memory'],
  ['one', 'ours HS256, cookie', '@mgcrea/fastify-session'],
  ['pages', 'ours HS256, cookie', '@fastify/session'],
  ['pages', 'ours HS256, cookie', '@fastify/session, defaults'],
  ['pages', 'ours HS256, cookie', '@fastify/session, memory'],
  ['pages', 'ours HS256, cookie', '@mgcrea/fastify-session'],
  ['forged', 'ours HS256', '@fastify/jwt HS256'],
  ['refresh', 'ours HS256', 'EVALSHA, one write a tick'],
  ['refresh', 'ours HS256, use', 'EVALSHA, one write a tick'],
  ['refresh', 'ours HS256, form', 'EVALSHA, one write a tick'],
  ['refresh', 'ours HS256', 'EVALSHA'],
  ['refresh', 'ours HS256', 'GET, compare, SET'],
  ['refresh', 'ours HS256', 'GET, compare, SET a JWT'],
  ['refresh', 'ours HS256', 'oidc-provider'],
  ['turns', 'ours HS256', 'EVALSHA, one write a tick'],
  ['turns', 'ours HS256, use', 'EVALSHA, one write a tick']
]

/** Median, minimum and maximum of some numbers. */
export function spread (numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) }
}

/** Groups the samples: for each load its contenders, the fastest first. */
function summarise (samples) {
  return Object.entries(groupBy(samples, 'load')).map(([load, ofLoad]) => ({
    title: titles[load],
    rows: Object.entries(groupBy(ofLoad, 'name'))
      .map(([name, own]) => ({
        name,
        ...Object.fromEntries(
          ['rate', 'ofByCpu', 'cpu', 'redis', 'commands'].map((field) => [
            field,
            spread(own.map((sample) => sample[field]))
          ])
        )
      }))
      .sort((a, b) => a.cpu.min - b.cpu.min)
  }))
}

function groupBy (items, field) {
  const groups = {}
  for (const item of items) (groups[item[field]] ??= []).push(item)
  return groups
}

const range = ({ median, min, max }, digits) =>
  `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`
const thousands = (number) => Math.round(number).toLocaleString('en')

function table ({ title, rows }) {
  const bare = rows.find(({ name }) => name === 'bare Fastify')
  const lines = rows.map(({ name, rate, ofByCpu, cpu, redis, commands }) => `| ${[
    name, (bare.cpu.min / cpu.min).toFixed(2), range(ofByCpu, 2), range(cpu, 1), range(redis, 1),
    commands.median.toFixed(2),
    `${thousands(rate.median)} (${thousands(rate.min)}–${thousands(rate.max)})`
  ].join(' | ')} |`)
  const columns = [
    '', 'of bare, at best', 'of bare', 'CPU µs', 'Redis CPU µs', 'Redis commands', 'requests/s'
  ]
  return [
    `## ${title}`,
    '',
    `| ${columns.join(' | ')} |`,
    '|---|--:|--:|--:|--:|--:|--:|',
    ...lines
  ].join('\n')
}

/** How much more of ours than of another one core can serve, pass by pass. */
function compare (samples) {
  const lines = comparisons.flatMap(([load, ours, other]) => {
    const [a, b] = [ours, other].map((name) =>
      samples.filter((sample) => sample.load === load && sample.name === name)
    )
    if (a.length === 0 || b.length === 0) return []
    const best = spread(b.map(({ cpu }) => cpu)).min / spread(a.map(({ cpu }) => cpu)).min
    const times = range(spread(a.map(({ cpu }, pass) => b[pass].cpu / cpu)), 2)
    return `| ${[titles[load], ours, other, times, best.toFixed(2)].join(' | ')} |`
  })
  return [
    '## Side by side',
    '',
    '| | | beside | times as many | at best |',
    '|---|---|---|--:|--:|',
    ...lines
  ].join('\n')
}

/** Writes the tables and the plot. */
export function report () {
  const { machine, time, samples } = JSON.parse(readFileSync(file('results.json'), 'utf8'))
  const loads = summarise(samples)
  const head = `# Results

Made by \`npm run bench\`: ${machine}.
Each figure is the median (min–max) of ${time.passes} passes of ${time.ms / 1000} s, the contenders
in turn within each pass. CPU is what one request costs the server process. "Of bare" is the bare
route's CPU in the same pass divided by it: the ratio of what one core can serve. Other work on the
machine adds to CPU and never takes away, so "at best" divides the least that each needed in any
pass. Redis commands are those that one request causes, those of scripts included. The server has
one core; the load (64 connections) and Redis share the other.`
  writeFileSync(
    file('results.md'),
    [head, compare(samples), ...loads.map(table)].join('\n\n') + '\n'
  )
  writeFileSync(file('results.svg'), plot(loads.filter(({ title }) => plotted.includes(title))))
}

if (argv[1] === fileURLToPath(import.meta.url)) report()
