/**
 * Prints deploy/chart/README.md from chart-readme.md and the comments of values.yaml:
 * node tools/chart-readme.ts > deploy/chart/README.md
 */
import { readFileSync } from 'node:fs'
import { isMap, parseDocument, type Node, type Pair } from 'yaml'

interface Row {
  path: string
  fallback: string
  text: string
}

/** Comments above a key, without those of a section before it. */
function commentOf(pair: Pair<Node, Node | null>, inherited: string | null | undefined): string {
  const last = (pair.key.commentBefore ?? inherited ?? '').split('\n\n').at(-1) ?? ''
  return last
    .split('\n')
    .map(line => line.trim())
    .join(' ')
}

function rowsOf(node: Node | null, path: string): Row[] {
  if (!isMap(node)) return []
  return (node.items as Pair<Node, Node | null>[]).flatMap((pair, i) => {
    const key = String((pair.key as { value?: unknown }).value)
    const child = path === '' ? key : `${path}.${key}`
    const { value } = pair
    if (isMap(value) && value.items.length > 0 && value.flow !== true) return rowsOf(value, child)
    const text = commentOf(pair, i === 0 ? node.commentBefore : undefined)
    return [{ path: child, fallback: JSON.stringify(value?.toJSON() ?? null), text }]
  })
}

/** A bar would end the cell. */
const cell = (text: string): string => text.replaceAll('|', String.raw`\|`)

/** `head`: what stands before the table. */
export function chartReadme(head: string, values: string): string {
  const rows = rowsOf(parseDocument(values).contents, '')
  const lines = rows.map(
    ({ path, fallback, text }) =>
      `| \`${path}\` | ${fallback === '""' ? '' : `\`${cell(fallback)}\``} | ${cell(text)} |`,
  )
  return `${head}\n| value | default | what |\n|---|---|---|\n${lines.join('\n')}\n`
}

if (import.meta.main) {
  const read = (path: string): string => readFileSync(path, 'utf8')
  process.stdout.write(chartReadme(read('tools/chart-readme.md'), read('deploy/chart/values.yaml')))
}
