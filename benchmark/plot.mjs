const width = 760
const label = 230
const bar = 18
const colours = { ours: '#0969da', bare: '#8c959f', other: '#bf8700' }

/**
 * Draws one panel of horizontal bars for each load, at best, with a whisker from the most disturbed
 * pass to the least.
 */
export function plot (loads) {
  const panels = []
  let y = 0
  for (const { title, rows } of loads) {
    const bare = rows.find(({ name }) => name === 'bare Fastify')
    panels.push(`<text x="0" y="${y + 24}" class="title">${title}, of a bare Fastify route</text>`)
    y += 36
    for (const row of rows) {
      panels.push(drawRow(row, bare.cpu.min / row.cpu.min, y))
      y += bar + 4
    }
    y += 12
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" font-family="system-ui, sans-serif" font-size="12">
<style>text { fill: #24292f } .title { font-size: 15px; font-weight: 600 } line { stroke: #57606a }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } line { stroke: #9198a1 } }</style>
${panels.join('\n')}
</svg>
`
}

function drawRow ({ name, ofByCpu: { min, max } }, best, y) {
  const x = (ratio) => (label + Math.min(ratio, 1.15) * (width - label - 60) / 1.15).toFixed(1)
  const middle = y + bar / 2
  const kind = name.startsWith('ours') ? 'ours' : name.startsWith('bare') ? 'bare' : 'other'
  return [
    `<text x="${label - 8}" y="${middle + 4}" text-anchor="end">${name}</text>`,
    `<rect x="${label}" y="${y}" width="${(x(best) - label).toFixed(1)}" height="${bar}" fill="${colours[kind]}"/>`,
    `<line x1="${x(min)}" x2="${x(max)}" y1="${middle}" y2="${middle}"/>`,
    `<text x="${Number(x(Math.max(best, max))) + 6}" y="${middle + 4}">${best.toFixed(2)}</text>`
  ].join('')
}
