/**
 * What a result shows of a span: of every field that the query mentions the values that it asks for, or all where it
 * selects or computes with the field. Source: docs/traces.md (the language).
 */
import type { Field, FieldExpr, Stage } from '#lang/traceql/ast.ts'
import { fieldKey } from '#lang/traceql/fields.ts'
import { columnsOf, defaultOf, idFields, literalFits, ownerOf, turned, type ValueTest } from './evaluate.ts'
import { valueType, type FieldColumn, type Level, type SpanTable, type Value } from './span-table.ts'

/** How a query mentions a field. */
export interface Mention {
  field: Field
  /** Values that it asks for; a field of which every value is asked for has `isWhole`. */
  tests: ValueTest[]
  isWhole: boolean
  /** It asks for spans without the field. */
  asksForNil: boolean
}

/** Every field that the query mentions or selects, once. */
export function mentionsOf(stages: readonly Stage[]): Mention[] {
  const mentions = new Map<string, Mention>()
  for (const stage of stages) ofStage(stage, mentions)
  return [...mentions.values()]
}

function mention(field: Field, into: Map<string, Mention>): Mention {
  const key = fieldKey(field)
  let own = into.get(key)
  if (own === undefined) into.set(key, (own = { field, tests: [], isWhole: false, asksForNil: false }))
  return own
}

function ofStage(stage: Stage, into: Map<string, Mention>): void {
  switch (stage.kind) {
    case 'filter':
      if (stage.condition !== undefined) ofExpr(stage.condition, into)
      return
    case 'combine':
      for (const inner of [...stage.left, ...stage.right]) ofStage(inner, into)
      return
    case 'scalar-filter':
      if (stage.aggregate.argument !== undefined) ofExpr(stage.aggregate.argument, into)
      return
    case 'by':
      ofExpr(stage.expr, into)
      return
    case 'select':
      for (const field of stage.fields) mention(field, into).isWhole = true
      return
    default:
  }
}

function ofExpr(expr: FieldExpr, into: Map<string, Mention>): void {
  switch (expr.kind) {
    case 'literal':
      return
    case 'field':
      mention(expr.field, into).isWhole = true
      return
    case 'not':
    case 'negate':
      ofExpr(expr.inner, into)
      return
    case 'compare':
      ofComparison(expr, into)
      return
    default:
      ofExpr(expr.left, into)
      ofExpr(expr.right, into)
  }
}

function ofComparison({ op, left, right }: FieldExpr & { kind: 'compare' }, into: Map<string, Mention>): void {
  const isTurned = left.kind === 'literal'
  const [side, other] = isTurned ? [right, left] : [left, right]
  if (side.kind !== 'field' || other.kind !== 'literal') {
    ofExpr(left, into)
    ofExpr(right, into)
    return
  }
  const own = mention(side.field, into)
  // Whole ids are compared: an expression says nothing of which are shown.
  const isWholeId = (op === '=~' || op === '!~') && side.field.kind === 'intrinsic' && idFields.has(side.field.name)
  if (isWholeId) own.isWhole = true
  else if (other.literal.type !== 'nil')
    own.tests.push(literalFits(isTurned ? turned(op) : op, other.literal, side.field))
  else if (op === '=') own.asksForNil = true
  else own.isWhole = true
}

/** An attribute of a result. */
export interface ShownValues {
  key: string
  values: readonly Value[]
}

type Reader = (i: number, into: ShownValues[]) => void

const nil: readonly Value[] = [{ type: valueType.string, num: 0, text: 'nil' }]

/** Reads what is shown of a span; an attribute without scope is shown of the span and of its resource. */
export function shownReader(
  mentions: readonly Mention[],
  table: SpanTable,
  keyOf: (field: Field, level: Level) => string = field => field.name,
): (i: number) => ShownValues[] {
  const byColumn = new Map<FieldColumn, Mention>()
  for (const one of mentions)
    for (const column of columnsOf(table, one.field)) byColumn.set(column, merged(byColumn.get(column), one))
  const readers = [...byColumn].map(([column, one]) => readerOf(one, column, table, keyOf(one.field, column.level)))
  return i => {
    const shown: ShownValues[] = []
    for (const read of readers) read(i, shown)
    return shown
  }
}

/** Two ways to mention one column, as with a scope and without. */
function merged(a: Mention | undefined, b: Mention): Mention {
  if (a === undefined) return b
  return {
    field: a.field,
    tests: [...a.tests, ...b.tests],
    isWhole: a.isWhole || b.isWhole,
    asksForNil: a.asksForNil || b.asksForNil,
  }
}

function readerOf(own: Mention, column: FieldColumn, table: SpanTable, key: string): Reader {
  const missing = own.isWhole ? defaultOf(own.field) : undefined
  const from = column.level === 'event' ? table.eventFrom : column.level === 'link' ? table.linkFrom : undefined
  const owner = ownerOf(table, column.level)
  return (i, into) => {
    const first = from === undefined ? owner(i, -1, -1) : from[i]!
    const end = from === undefined ? first + 1 : from[i + 1]!
    let isThere = false
    // Of several events or links the last one that the query asks for is shown.
    for (let at = end - 1; at >= first; at--) {
      isThere ||= column.has(at)
      const values = valuesAt(column, at, own)
      if (values.length === 0) continue
      into.push({ key, values })
      return
    }
    if (own.asksForNil && !isThere) into.push({ key, values: nil })
    else if (missing !== undefined && first === end) into.push({ key, values: [missing] })
  }
}

function valuesAt(column: FieldColumn, at: number, { tests, isWhole }: Mention): readonly Value[] {
  const list = column.lists?.get(at)
  const single = list === undefined ? column.at(at) : undefined
  const values = list ?? (single === undefined ? [] : [single])
  return isWhole ? values : values.filter(v => tests.some(fits => fits(v.type, v.num, v.text)))
}
