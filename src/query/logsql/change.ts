/** What pipes that change one row at a time have in common. */
import { parseJson } from '#core/json.ts'
import type { Filter, Pipe } from '#lang/logsql/ast.ts'
import { compileFilter } from './filter.ts'
import { fieldOf, fieldsSource, type Fields } from './row.ts'

/** The node of a pipe by its kind. */
export type PipeOf<K extends Pipe['kind']> = Pipe & { kind: K }

/** Gives the row on that the next pipe sees: the same object, changed, or another one. */
export type Change = (row: Fields) => Fields

/** The name that a field gets: what a star of the pattern stands for takes the place of the other one's star. */
export function renamed(pattern: string, to: string, name: string): string {
  if (!pattern.endsWith('*') || !to.endsWith('*')) return to
  return to.slice(0, -1) + name.slice(pattern.length - 1)
}

/** Does a name match one of a query, which may end with a star? */
export function matchesName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name
}

/** The test of a pipe's `if (...)`. */
export function conditionOf(filter: Filter | undefined): (row: Fields) => boolean {
  if (filter === undefined) return () => true
  const test = compileFilter(filter)
  return row => test(fieldsSource(row))
}

/** Sets fields of a row as a pipe's flags say: fields that the row had stay where a flag keeps them. */
export function setterOf(
  row: Fields,
  { keepsOriginal, skipsEmpty }: { keepsOriginal: boolean; skipsEmpty: boolean },
): (name: string, value: string) => void {
  const before = keepsOriginal || skipsEmpty ? new Map(row) : row
  return (name, value) => {
    const original = fieldOf(before, name)
    const isKept = original !== '' && (keepsOriginal || (skipsEmpty && value === ''))
    row.set(name, isKept ? original : value)
  }
}

/** The elements of a JSON array; undefined for any other text. */
export function jsonArray(text: string): unknown[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const value = parseJson(text)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
