/**
 * What a result shows of a span: of every field that the query mentions the values that it asks for, or all where it
 * selects or computes with the field. Source: docs/traces.md (the language).
 */
import { addAll } from '#core/lists.ts'
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
  /** It selects the field, which is read for what is shown alone. */
  isSelected: boolean
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
  if (own === undefined)
    into.set(key, (own = { field, tests: [], isWhole: false, isSelected: false, asksForNil: false }))
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
      for (const field of stage.fields) mention(field, into).isSelected = true
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
  const together = new TogetherShown(byColumn, table)
  const readers = [...byColumn].map(([column, one]) =>
    readerOf(together.shownOf(one, column.level), column, table, keyOf(one.field, column.level)),
  )
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
    isSelected: a.isSelected || b.isSelected,
    asksForNil: a.asksForNil || b.asksForNil,
  }
}

function isDedicated({ rows }: SpanTable, field: Field, level: Level): boolean {
  return rows.dedicated.some(({ scope, name }) => scope === level && name === field.name)
}

/** An attribute in a column of its own? The others of a level share columns, one for each type. */
function isApart(table: SpanTable, field: Field, level: Level): boolean {
  if (field.kind !== 'attribute' || (level === 'resource' && field.name === 'service.name')) return true
  return isDedicated(table, field, level)
}

/**
 * What is asked of attributes that share columns: as in Tempo, a value is shown that any of the questions to the
 * attributes of its level asks for, and all values where one of them is whole.
 */
class TogetherShown {
  readonly #byLevel = new Map<Level, { tests: ValueTest[]; isWhole: boolean }>()
  readonly #table: SpanTable

  constructor(mentions: ReadonlyMap<FieldColumn, Mention>, table: SpanTable) {
    this.#table = table
    for (const [{ level }, { field, tests, isWhole }] of mentions) {
      if (isApart(table, field, level)) continue
      const own = this.#byLevel.get(level)
      if (own === undefined) this.#byLevel.set(level, { tests: [...tests], isWhole })
      else {
        addAll(own.tests, tests)
        own.isWhole ||= isWhole
      }
    }
  }

  shownOf(own: Mention, level: Level): Mention {
    if (isApart(this.#table, own.field, level)) return own
    const { tests, isWhole } = this.#byLevel.get(level)!
    return { ...own, tests, isWhole }
  }
}

function readerOf(own: Mention, column: FieldColumn, table: SpanTable, key: string): Reader {
  const isAll = own.isWhole || own.isSelected
  const missing = isAll ? defaultOf(own.field) : undefined
  // An attribute of a column of its own that is not there is a text to Tempo where all values are shown.
  const showsNil =
    own.asksForNil || (isAll && own.field.kind === 'attribute' && isDedicated(table, own.field, column.level))
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
    if (showsNil && !isThere) into.push({ key, values: nil })
    else if (missing !== undefined && first === end) into.push({ key, values: [missing] })
  }
}

function valuesAt(column: FieldColumn, at: number, { tests, isWhole, isSelected }: Mention): readonly Value[] {
  const list = column.lists?.get(at)
  const single = list === undefined ? column.at(at) : undefined
  const values = list ?? (single === undefined ? [] : [single])
  return isWhole || isSelected ? values : values.filter(v => tests.some(fits => fits(v.type, v.num, v.text)))
}
