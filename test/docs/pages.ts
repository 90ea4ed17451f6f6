/** The documents that people read, taken apart: links, headings, and blocks of text that stands for itself. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { anchorOf } from '../../tools/documents.ts'

export interface Block {
  page: string
  /** Of its first line of text, from 1. */
  line: number
  /** What stands behind the fence; empty for a block that is indented. */
  info: string
  text: string
}

export interface Link {
  page: string
  line: number
  target: string
}

/** The README, docs/, and the READMEs of what is copied from here. */
export const pages: readonly string[] = [
  'README.md',
  ...globSync(['docs/**/*.md', 'examples/**/README.md', 'deploy/examples/README.md'], {
    exclude: name => name.includes('node_modules'),
  })
    .map(page => normalize(page))
    .sort(),
]

/** Fences, and what is indented by four blanks behind an empty line. */
export function blocksOf(page: string): Block[] {
  const lines = readFileSync(page, 'utf8').split('\n')
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; at++) {
    const fence = /^ *```(.*)$/.exec(lines[at]!)
    const isIndented = fence === null && /^ {4}/.test(lines[at]!) && (lines[at - 1] ?? '').trim() === ''
    if (fence === null && !isIndented) continue
    const start = fence === null ? at : at + 1
    let end = start
    if (fence === null) while (/^( {4}|$)/.test(lines[end] ?? 'x')) end++
    else while (!/^ *```$/.test(lines[end] ?? '```')) end++
    const inner = lines.slice(start, end)
    const indent = Math.min(...inner.filter(line => line !== '').map(line => /^ */.exec(line)![0].length))
    const text = inner
      .map(line => line.slice(indent))
      .join('\n')
      .trimEnd()
    blocks.push({ page, line: start + 1, info: fence?.[1] ?? '', text })
    at = fence === null ? end - 1 : end
  }
  return blocks
}

/** The page with its blocks left empty. */
function proseOf(page: string): string[] {
  const lines = readFileSync(page, 'utf8').split('\n')
  for (const { line, text } of blocksOf(page)) lines.fill('', line - 1, line - 1 + text.split('\n').length)
  return lines
}

export function linksOf(page: string): Link[] {
  return proseOf(page).flatMap((text, i) =>
    [...text.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => ({
      page,
      line: i + 1,
      target: target!,
    })),
  )
}

/** As GitHub makes them of headings. */
export function anchorsOf(page: string): Set<string> {
  return new Set(
    proseOf(page)
      .filter(line => /^#{1,6} /.test(line))
      .map(anchorOf),
  )
}

/** Where a link of a page leads to, in this tree: its file and its anchor. */
export function placeOf({ page, target }: Link): { file: string; anchor: string } {
  const [path = '', anchor = ''] = target.split('#')
  return { file: path === '' ? page : normalize(join(dirname(page), path)), anchor }
}
