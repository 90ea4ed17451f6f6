/** Texts without which no span is in an answer: dictionaries of columns tell where they are missing. */
import type { Field, FieldExpr, Stage } from '#lang/traceql/ast.ts'
import { idFields } from './evaluate.ts'
import type { Required } from './span-table.ts'

/** Those of the first filter, as far as it is a conjunction of comparisons. */
export function requiredTexts(stages: readonly Stage[]): Required[] {
  const [first] = stages
  const found: Required[] = []
  if (first?.kind === 'filter' && first.condition !== undefined) collect(first.condition, found)
  return found
}

function collect(expr: FieldExpr, into: Required[]): void {
  if (expr.kind === 'logic' && expr.op === '&&') {
    collect(expr.left, into)
    collect(expr.right, into)
  }
  if (expr.kind !== 'compare' || expr.op !== '=') return
  const required = requiredOf(expr.left, expr.right) ?? requiredOf(expr.right, expr.left)
  if (required !== undefined) into.push(required)
}

function requiredOf(left: FieldExpr, right: FieldExpr): Required | undefined {
  if (left.kind !== 'field' || right.kind !== 'literal' || right.literal.type !== 'string') return undefined
  const { value } = right.literal
  // What is missing may be read as an empty text.
  return value !== '' && isText(left.field) ? { field: left.field, text: value } : undefined
}

/** Ids are compared as numbers are, zeros before them left out. */
function isText(field: Field): boolean {
  return field.kind === 'attribute' || !idFields.has(field.name)
}
