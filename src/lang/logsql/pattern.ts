/** Patterns of extract and format: `<ip> - <q:user>`; what stands between fields may have HTML entities. */
import type { PatternStep } from './ast.ts'

/** Throws what `fail` throws. */
export function readPattern(text: string, fail: (message: string) => never): PatternStep[] {
  const steps: PatternStep[] = []
  let at = 0
  while (at < text.length) {
    const open = text.indexOf('<', at)
    if (open < 0) {
      steps.push({ prefix: unescaped(text.slice(at)), field: '', option: '' })
      break
    }
    const close = text.indexOf('>', open)
    if (close < 0) fail(`">" is missing behind ${JSON.stringify(text.slice(open))}`)
    steps.push({ prefix: unescaped(text.slice(at, open)), ...fieldOf(text.slice(open + 1, close)) })
    at = close + 1
  }
  return steps
}

function fieldOf(text: string): { field: string; option: string } {
  if (text === '_' || text === '*') return { field: '', option: '' }
  const colon = text.indexOf(':')
  if (colon < 0) return { field: text.trim(), option: '' }
  return { field: text.slice(colon + 1).trim(), option: text.slice(0, colon).trim() }
}

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
}

function unescaped(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#[xX]([0-9a-fA-F]+)|([a-z]+));/g, (whole, decimal, hex, name: string) => {
    if (name !== undefined) return entities[name] ?? whole
    const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
